// Package console is how commands speak to whoever typed them: errors with hints and exit statuses,
// tables, JSON for scripts, and the one shape in which they say how well something works.
//
// It prints where it is told to, and knows nothing of what is printed.
package console
