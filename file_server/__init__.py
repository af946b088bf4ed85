"""Host: FTP for stations that speak nothing better; each login is good for one file (S17, S24)."""
