"""What holds pictures: opened as a stream of parts, and written back as one."""
