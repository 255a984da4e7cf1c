"""Console output of Anaconda 34 (Enterprise Linux 9) and 40 (Enterprise Linux 10).

Read in rhinstaller/anaconda, branches rhel-9 and rhel-10; each table names the file.
"""
