# A text file as a C string, line by line.
s/\\/\\\\/g
s/"/\\"/g
s/	/\\t/g
s/^/"/
s/$/\\n"/
