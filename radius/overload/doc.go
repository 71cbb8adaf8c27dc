// Package overload decides who is turned away while more comes in than can be done.
//
//	Enter ──► full? ──► the client's share? ──► done in time? ──► under way ──► Leave
//	             │              │                    │                            │
//	           Full          Crowded               Slow ◄───── pace ◄─────────────┘
//
// Work that nobody waits for any more when it is done is worse than none: it takes the time of what
// would still be waited for, and a login that is accepted too late has used up a code. So what cannot
// be done in time is turned away when it comes, which is also when its sender can best ask
// somebody else.
//
// Invariants:
//   - Never more are under way than there are places.
//   - One client never takes all places: it has three for each that it leaves free at most, so that whoever comes
//     second finds room. One that has a few is not held to that.
//   - A client nearly all of whose things are done in vain keeps a few places: enough for one that has made a
//     mistake, and nothing that a flood could fill a room with. Where each costs a peer something, it has a few
//     turns in each span of time as well.
//   - By Little's law what comes in now is done after as long as it takes, at the present pace, to do what
//     is under way already. When that is too long, nobody enters until it is not. It needs
//     evidence: a peer that has not been slow is not taken for slow because many come at once.
//   - The last eighth of the places is for what goes first, which is held to their number and to nothing else.
//
// It has no clock, and knows neither packets nor clients.
package overload
