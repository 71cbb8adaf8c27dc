package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
)

// devicesCommand writes the files that servers learn the devices from.
func (p *program) devicesCommand() *cobra.Command {
	var family familyFlags
	var csv, freeradius, ldif, base, seedAttribute string
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "Write the devices of a master seed for otpgate, FreeRADIUS and a directory",
		Long: `Writes the devices that are made from a master seed: --csv for otpgate device
import, --freeradius for FreeRADIUS's file of users (rlm_files, rlm_totp), --ldif for
a directory. "-" is the standard output. The files hold seeds: they are made
readable by their owner only.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if csv == "" && freeradius == "" && ldif == "" {
				return console.Usage(console.WithHint(errors.New("nothing is to be written"), "give --csv, --freeradius or --ldif"))
			}
			r, err := family.roster(false)
			if err != nil {
				return err
			}
			for _, f := range []struct {
				name  string
				write func(io.Writer) error
			}{
				{csv, r.WriteCSV},
				{freeradius, r.WriteFreeRADIUS},
				{ldif, func(w io.Writer) error { return r.WriteLDIF(w, base, seedAttribute) }},
			} {
				if err := p.write(f.name, f.write); err != nil {
					return err
				}
			}
			return nil
		},
	}
	family.add(cmd, false)
	cmd.Flags().StringVar(&csv, "csv", "", "`file` for otpgate device import")
	cmd.Flags().StringVar(&freeradius, "freeradius", "", "`file` of users for FreeRADIUS")
	cmd.Flags().StringVar(&ldif, "ldif", "", "`file` of entries for a directory")
	cmd.Flags().StringVar(&base, "base", "dc=lab", "`DN` that the entries are below")
	cmd.Flags().StringVar(&seedAttribute, "seed-attribute", "", "`attribute` of the entries that holds the seed; empty: none")
	return cmd
}

// write makes a file, or writes to the standard output. No name is no file.
func (p *program) write(name string, write func(io.Writer) error) (err error) {
	switch name {
	case "":
		return nil
	case "-":
		return write(p.out)
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
