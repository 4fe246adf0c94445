"""/metrics for Prometheus: what the processes behind one port have done and do, and how the
stores are. It reads gateway/plane/counts.py, Valkey and the database, and changes nothing.
Start with `exposition.py`; `snapshots.py` adds up the processes, `metric_families.py` words the
figures, `store_metrics.py` asks Valkey and the database.
"""
