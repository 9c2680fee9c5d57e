"""The HTTP API (Litestar): who may do what, what is read from a request, and how answers look.

The rules themselves are in app.provisioning and app.timetables, which know nothing of HTTP.
"""
