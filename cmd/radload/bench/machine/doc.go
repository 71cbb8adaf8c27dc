// Package machine starts the processes of a benchmark where they belong, tells what they use, and what
// they run on. It is for Linux.
package machine
