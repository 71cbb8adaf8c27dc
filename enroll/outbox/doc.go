// Package outbox is a small SMTP server that keeps what it gets instead of delivering it.
//
//	SMTP ──► Server ──► the last N mails, parsed ──► Mails, Wait
//	                                            └──► Handler: a page that lists them
//
// The demo sends its mails here, so that it needs no mail server; tests build on it
// ([otpgate/enroll/smtptest]). It listens where it is told to, which ought to be loopback: mails
// hold enrollment codes, and the page shows them to anybody who can reach it.
package outbox
