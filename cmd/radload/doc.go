// Radload loads RADIUS servers the way many gateways do, and says what became of every login: how long
// it took, and whether the answer was the right one.
//
//	main ──► root ──► run ─────► roster ► gateway ► packet ► port ──► servers
//	             │      ├─────────────────► flood ──────────┘
//	             │      └► report: table or JSON, expectations ► exit status
//	             ├──► devices ──► roster ──► import file, FreeRADIUS's users, LDIF
//	             └──► bench: servers, peers and radload run, as processes ► targets, tables, plot
//
// The devices come first, from one master seed, so that the same command names them everywhere:
//
//	radload devices --master bench --count 300000 --csv devices.csv --ldif people.ldif
//	otpgate device import --csv devices.csv
//	radload run --server 127.0.0.1:1812 --secret-file vpn.secret --master bench --count 300000 --rate 5000 --duration 30s
//
// # Open and closed loop
//
// With --rate logins begin when their time has come, whether or not the server keeps up, and their
// latency counts from that time: a server that stands still for a second delays all that should have
// begun in it, and that shows. With --outstanding so many logins are always under way: that finds out how
// many a server can do. Its latency says nothing about what people would see at another rate.
//
// With several servers all logins begin at the first one, and what it does not answer goes to the next; with --spread at each in turn, as behind a
// gateway that knows all of them, so that one that is slow gathers what is outstanding; with --each as many are
// outstanding at each, as with a gateway for each.
//
// # What is expected
//
// A right and fresh code is accepted; a wrong one (--wrong), a used one (--replay, --reuse refused) is not. Once in a
// million a fresh code is the same as that of a step shortly before or after, and may be refused as used.
// Every answer has a right Response Authenticator and a right Message-Authenticator, as the first attribute unless
// --message-authenticator says otherwise. A second answer to the same packet has the same octets. No
// login is lost, unless --max-lost allows some. What of that held is listed at the end, and of the logins that
// were decided wrongly the first, with account, step and time: the logs of the servers have them by these.
//
// Each device logs in once per step, because its second login would be a replay. So a rate of R needs R
// times the period devices: 5,000 logins per second need 300,000 with codes of 60 seconds. An open loop that lacks
// them does not begin; a closed loop ends when they are used up, and says so. The accounts of a family
// have used their codes for the rest of the step: --new-step waits for the next.
//
// # Exit status
//
//	0  everything that was expected held
//	1  something did not, or the run failed
//	2  the command line cannot be used
//	130  it was interrupted, and the report is of what there was until then
//
// # Safety
//
// It sends to 127.0.0.0/8 and ::1 only, and to what is on the link of a network namespace that has no way
// out, unless --i-own-this-network is given. Every run and every flood has an end. Shared secrets
// are printed nowhere, and seeds only by radload devices, which is for that.
package main
