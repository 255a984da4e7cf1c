# SPDX-License-Identifier: GPL-2.0-or-later
"""Module metadata of the EL 9 media, as EL 9's AppStream has it. EL 10 has none.

The stream is EL 9's own (nodejs:22 of AppStream). The media have no package of it: a package
that a stream lists is hidden until the stream is enabled, and the lab's packages are Debian's.
"""

MODULES = """\
---
document: modulemd
version: 2
data:
  name: nodejs
  stream: "22"
  version: 9000000000000000001
  context: rhel9
  arch: x86_64
  summary: Javascript runtime
  description: >-
    Node.js is a platform built on Chrome's JavaScript runtime.
  license:
    module: [MIT]
  dependencies:
  - requires:
      platform: [el9]
  profiles:
    minimal:
      rpms: [nodejs]
...
---
document: modulemd-defaults
version: 1
data:
  module: nodejs
  profiles:
    "22": [minimal]
...
"""
