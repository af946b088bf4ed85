"""S17, S24: transfers, and the file inside a multipart upload."""
