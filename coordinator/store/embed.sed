# Text to a C string, line by line.
s/\\/\\\\/g
s/"/\\"/g
s/^/"/
s/$/\\n"/
