package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/cmd/radload/roster"
)

// familyFlags say which devices there are: from a file, or made from a master seed.
type familyFlags struct {
	file, master, masterFile, prefix, algorithm, password string
	count, digits                                         int
	period                                                time.Duration
}

// add declares the flags. Only who logs in may take a file.
func (f *familyFlags) add(cmd *cobra.Command, files bool) {
	flags := cmd.Flags()
	if files {
		flags.StringVar(&f.file, "devices", "", "`file` of devices, as otpgate device import takes it; instead of a master seed")
	}
	flags.StringVar(&f.master, "master", "", "master `seed` that the devices are made from: any text")
	flags.StringVar(&f.masterFile, "master-file", "", "`file` with the master seed")
	flags.IntVar(&f.count, "count", 1000, "`number` of devices made from the master seed")
	flags.StringVar(&f.prefix, "prefix", "person", "what account `names` begin with; seven digits follow")
	flags.DurationVar(&f.period, "period", time.Minute, "period of codes")
	flags.IntVar(&f.digits, "digits", 6, "digits of codes")
	flags.StringVar(&f.algorithm, "algorithm", "SHA1", "SHA1, SHA256 or SHA512")
	flags.StringVar(&f.password, "password", "", "`password` of the accounts, in which {name} stands for the name")
}

// roster makes or reads the devices.
func (f *familyFlags) roster(reuse bool) (*roster.Roster, error) {
	o := roster.Options{Password: f.password, Reuse: reuse}
	given := 0
	for _, source := range []string{f.file, f.master, f.masterFile} {
		if source != "" {
			given++
		}
	}
	if given != 1 {
		return nil, console.Usage(console.WithHint(errors.New("it is not said which devices there are"),
			"give one of --devices, --master and --master-file"))
	}
	if f.file != "" {
		in, err := os.Open(f.file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = in.Close() }()
		r, err := roster.Read(in, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.file, err)
		}
		return r, nil
	}
	family := roster.Family{Master: []byte(f.master), Count: f.count, Prefix: f.prefix, Digits: f.digits, Period: f.period}
	if f.masterFile != "" {
		master, err := secretIn(f.masterFile)
		if err != nil {
			return nil, err
		}
		family.Master = master
	}
	switch strings.ToUpper(f.algorithm) {
	case "SHA1":
	case "SHA256":
		family.Algorithm = roster.SHA256
	case "SHA512":
		family.Algorithm = roster.SHA512
	default:
		return nil, console.Usage(fmt.Errorf("there is no algorithm %q", f.algorithm))
	}
	r, err := roster.Derive(family, o)
	if err != nil {
		return nil, console.Usage(err)
	}
	return r, nil
}

// secretIn reads a secret from a file, without the end of its line.
func secretIn(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return []byte(strings.TrimRight(string(text), "\r\n")), nil
}
