package browsertest

// TryStart is Start, with an error for a test to look at.
var TryStart = start
