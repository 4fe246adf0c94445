"""/metrics for Prometheus: what the processes behind one port have done and do, and how the
stores are. It reads gateway/plane/counts.py, Valkey and the database, and changes nothing.
Start with door.py; `snapshots` adds up the processes, `families` words the figures, `stores` asks
Valkey and the database.
"""
