//go:build race

package main

// raceEnabled is whether the race detector looks, at this process and at the nodes that tests start.
const raceEnabled = true
