// Package storetest proves that an [otp.Store] keeps its contract.
//
//	Run            every MUST of the contract as a subtest, and random claims against a model
//	RunConcurrent  one winner, whoever else is asking, at whatever node
//	RunCrash       the process is killed, at random points and between claim and reply; and two processes
//	               claim at once, where they may share a store
//	RunPeerCrash   the server behind the store is killed
//
// A store's own tests call all of those that apply. Every subtest opens a store of its own, which
// is empty. Times are those of the claims: the suite runs in a year of its own, so that a store
// that decides by its own clock fails.
//
// # What the suite takes for granted where the contract leaves room
//
//   - A claim that keeps to the account's version but names a device that is not there is Stale.
//   - ClaimLifetime counts in both directions, for the clocks of two nodes may differ.
//   - The last try of a ticket may be the right one: it can be taken then, but not be checked again.
//   - A Forget of zero forgets nothing.
//   - ChallengeLifetime counts from the last change, and forward only; Share.Within and Claim.Lifetime
//     count in both directions.
//   - A wrong code that has spent its challenge is Spent, not Counted, when it is sent again.
//   - AddDevices adds the new devices of an account beside those that exist already, but none at
//     all to an account that would exceed the limit.
package storetest
