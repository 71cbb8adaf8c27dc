//go:build soak

package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScriptsRedisSoak and TestScriptsEmbeddedSoak run scripts that have no short form, once per store: see `make soak`.
func TestScriptsRedisSoak(t *testing.T)    { runScripts(t, "testdata/soakstores", storing("redis")) }
func TestScriptsEmbeddedSoak(t *testing.T) { runScripts(t, "testdata/soakstores", storing("embedded")) }

func storing(where string) func(*testscript.Env) error {
	return func(env *testscript.Env) error {
		env.Setenv("STORE", where)
		return nil
	}
}
