package main

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"otpgate/otp/boltstore"
	"otpgate/otp/keyset"
)

// cmdSeed opens what nothing else opens: the seed of a device whose key was agreed with a phone, from a
// copy of the embedded store and its keyset, so that oathtool can say what the phone has to show.
//
//	seed VARIABLE NAME LABEL    the device of an account of the node n1, in base32
func cmdSeed(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "seed VARIABLE NAME LABEL")
	account, device := deviceOf(ts, args[1], args[2])
	keys, _, err := keyset.Open(ts.MkAbs("data"))
	ts.Check(err)
	// The node goes on writing: a copy that is torn is made anew.
	var seed []byte
	if !eventually(func() bool {
		seed, err = seedIn(ts, keys, account, device)
		return err == nil
	}) {
		ts.Fatalf("seed: %v", err)
	}
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(seed)
	ts.Setenv(args[0], text)
	benchOf(ts).secrets = append(benchOf(ts).secrets, text)
}

// deviceOf asks the node for the ids of an account and of its device with a label.
func deviceOf(ts *testscript.TestScript, name, label string) (account, device string) {
	list, err := once(ts, []string{"device", "list", name, "--config", "otpgate.yaml", "--json"})
	ts.Check(err)
	var devices []struct{ Account, ID, Label string }
	ts.Check(json.Unmarshal(list, &devices))
	for _, d := range devices {
		if d.Label == label {
			return d.Account, d.ID
		}
	}
	ts.Fatalf("%s has no device %q:\n%s", name, label, list)
	return "", ""
}

func seedIn(ts *testscript.TestScript, keys *keyset.Keys, account, device string) ([]byte, error) {
	files, err := filepath.Glob(ts.MkAbs(filepath.Join("data", "devices.db*"))) // its journal belongs to it
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(ts.Getenv("TMPDIR"), "seed")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for _, file := range files {
		octets, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), octets, 0o600); err != nil {
			return nil, err
		}
	}
	store, err := boltstore.Open(boltstore.Options{Path: filepath.Join(dir, "devices.db"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	defer store.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := store.Devices(ctx, account)
	if err != nil {
		return nil, err
	}
	for _, d := range s.Devices {
		if d.ID == device {
			return keys.Open(d.Sealed, boundTo(account, device))
		}
	}
	return nil, fmt.Errorf("%s is not in the store", device)
}

// boundTo is what a sealed seed is bound to, as package otp has it.
func boundTo(account, device string) []byte {
	ad := []byte("otpgate seed\x00")
	ad = binary.BigEndian.AppendUint32(ad, uint32(len(account)))
	return append(append(ad, account...), device...)
}

// cmdOathtool has oathtool compute the code of a seed for another period than ours: $CODE.
//
//	oathtool PERIOD SEED
func cmdOathtool(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "oathtool PERIOD SEED")
	each, err := time.ParseDuration(args[0])
	ts.Check(err)
	ts.Setenv("CODE", oathtool(ts, args[1], each, time.Now()))
}
