"""What must reach no terminal as it is."""

#: Sets the window's title, clears the screen, goes back to the line's begin, rings.
HOSTILE = "\x1b]0;owned\x07\x1b[2J\rover it\x9b31m"
