"""Calendar providers: the contract that every adapter fulfils, the adapters, the sandbox."""
