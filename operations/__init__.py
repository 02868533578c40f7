"""Commands for a deployed platform, on real accounts and in a sandbox: ``python -m operations doctor|sweep|remove``.

What is decided from plain data (`compare`, `diagnosis`, `imports`, `controllers`) stands apart from what asks and acts
(`hetzner`, `edge`, `pulumi`, `backend`).
"""
