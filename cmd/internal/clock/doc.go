// Package clock raises the alarm when this node's clock is not to be trusted: codes of a clock that is off by
// more than half a period are those of other steps than people's phones show.
//
// It compares with the store's clock where the store has one of its own. An embedded store has none: a clock
// that is set while the node runs is all that can be seen there, and what it shows now may be right.
//
// Whether a code was used does not depend on any clock: a step is claimed after those before it, whatever
// time it is. So what was claimed while a clock was ahead keeps its owner out until that time has come, and setting
// the clock right mends nothing of that: the hints say so. Here it is about people who are kept out.
package clock
