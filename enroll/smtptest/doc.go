// Package smtptest starts a real SMTP server for tests: TLS with a certificate of its own making,
// AUTH, mails to read back, and recipients with whom things go wrong.
//
//	Start ──► outbox.Server behind STARTTLS ──► Mails, Wait
//	  └──► CA in a file                    └──► Fail: 550, 451 a few times, slow, cut
package smtptest
