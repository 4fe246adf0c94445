"""What people see: pages, their live parts, and /api. Views translate; rooms below decide.

`views/` renders pages, a module of views a field; start there. `api.py` and `serializers.py`
answer JSON, `consumers.py` pushes. It may use every room but the data plane.
"""
