"""Who is who: a device's key, how a shard admits it, and the bearer token that its syncs carry for a day.

To be read in this order: `device_key`, `messages`, `gate`, `admission`, `tokens`, `keyring`. Nothing here opens a
socket or a database, and the time is always given.
"""
