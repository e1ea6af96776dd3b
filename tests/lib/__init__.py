"""Test library of mtrelay: databases, agent, simulator, waiting and the oracle.

Used by pytest, scripts/demo and the benches.  Import as a package from the folder tests/ (lib.db, lib.agent, ...).
Only Debian's Python packages are used.  Environment:
  MTRELAY_BUILDDIR   where mtrelayd and mtrelayctl were built (default: the top of the tree)
  MTRELAY_SRCDIR     the top of the tree (default: found from this file)
  MTRELAY_CACHE      where the test servers that are not packaged by Debian are kept (default ~/.cache/mtrelay-tests)
  MTRELAY_SPECS      folder of the provider's published API documents (default <tree>/../shared/specs)
  MTRELAY_KEEP=1     leaves the temporary folders behind
"""
