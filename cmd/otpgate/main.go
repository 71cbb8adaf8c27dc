package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // hours have a time zone, and the machine may know none

	"otpgate/otp/redisstore"
)

func main() { os.Exit(run(time.Now)) }

// run is main with a clock and an exit status: 0 for success, 1 for a failure, 2 for a command line or a
// configuration that cannot be used. A crash has the last one too, but of a node: see crashBySignal.
func run(now func() time.Time) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal does not wait
	redisstore.SilenceLibrary()  // it has one logger for the whole process, which writes to stderr
	rt := &runtime{
		in:        os.Stdin,
		out:       os.Stdout,
		err:       os.Stderr,
		lookupEnv: os.LookupEnv,
		now:       now,
	}
	return rt.execute(ctx, os.Args[1:])
}
