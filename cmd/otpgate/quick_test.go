//go:build quick

package main

import "testing"

// TestQuick measures how soon the app shows a code. It runs alone (`make quick`, a part of `make unit`):
// beside other tests it would measure them.
func TestQuick(t *testing.T) { runScripts(t, "testdata/quick", nil) }
