"""Gets what the stack is made of: tools of the system, jars through Maven, MinIO through Go.

Everything here may be repeated, interrupted and run twice at the same time: a part is built
in a temporary folder, renamed into the cache in one step, and only then marked complete.
"""

from infra.provision.provisioner import Provisioner

__all__ = ["Provisioner"]
