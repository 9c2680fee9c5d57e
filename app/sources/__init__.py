"""Sources: sync jobs that fetch timetables from other systems by themselves.

A *sync job* says which resources of an integration to fetch, an *integrated account* with which connection;
a *run* fetches them once, and a *cron trigger* makes runs by the clock. What a resource with ``persist``
gives becomes the users' timetables; the rest goes to a webhook.
"""
