//go:build soak

package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScriptsSoak are scripts that last: see `make soak`.
func TestScriptsSoak(t *testing.T) { runLasting(t, "testdata/soak", nil) }

// TestScriptsRedisSoak and TestScriptsEmbeddedSoak run the same scripts, once per store.
func TestScriptsRedisSoak(t *testing.T)    { runLasting(t, "testdata/soakstores", storing("redis")) }
func TestScriptsEmbeddedSoak(t *testing.T) { runLasting(t, "testdata/soakstores", storing("embedded")) }

// runLasting runs the scripts of a folder, which need not have any.
func runLasting(t *testing.T, dir string, setup func(*testscript.Env) error) {
	t.Helper()
	scripts, err := filepath.Glob(dir + "/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(scripts) > 0 {
		runScripts(t, dir, setup)
	}
}

func storing(where string) func(*testscript.Env) error {
	return func(env *testscript.Env) error {
		env.Setenv("STORE", where)
		return nil
	}
}
