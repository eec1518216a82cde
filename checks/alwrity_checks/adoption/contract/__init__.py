"""What a backend's callers rely on, tried on a module of a checkout: `contract` has the words, `runner` the work.

`auth`, `hf`, `txtai`, `models`, `startup` each hold the contracts of one issue and the driver that tries them in the
sandboxed child (`inside`). A difference that is the cure itself (a forged token refused) is part of no contract.
"""
