package redisstore

import (
	"slices"
	"testing"
)

// TestVerdicts: looks at masters that overlap.
func TestVerdicts(t *testing.T) {
	bad := verdict{refusal: &refusal{setting: "maxmemory-policy", value: "allkeys-lru"}}
	slow, fast := concern{fact: "slow"}, concern{fact: "fast"}
	well := func(list ...concern) verdict { return verdict{concerns: list} }
	for name, c := range map[string]struct {
		run     func(v *verdicts)
		refused bool
		facts   []string
	}{
		"nothing is known":       {run: func(*verdicts) {}},
		"what is mended is used": {run: func(v *verdicts) { v.note("a", v.begin(), bad); v.note("a", v.begin(), well()) }},
		"also when another is not": {run: func(v *verdicts) {
			v.note("a", v.begin(), bad)
			v.note("b", v.begin(), bad)
			v.note("a", v.begin(), well())
		}, refused: true},
		"in whichever order they were found": {run: func(v *verdicts) {
			v.note("b", v.begin(), bad)
			v.note("a", v.begin(), bad)
			v.note("a", v.begin(), well())
		}, refused: true},
		"a look of before mends nothing": {run: func(v *verdicts) { early := v.begin(); v.note("a", v.begin(), bad); v.note("a", early, well()) }, refused: true},
		"nor one that began beside it": {run: func(v *verdicts) {
			early, late := v.begin(), v.begin()
			v.note("a", early, bad)
			v.note("a", late, well())
		}, refused: true},
		"but it refuses": {run: func(v *verdicts) { early := v.begin(); v.note("a", v.begin(), well()); v.note("a", early, bad) }, refused: true},
		"the later look's concerns count": {run: func(v *verdicts) {
			early := v.begin()
			v.note("a", v.begin(), well(fast))
			v.note("a", early, well(slow))
		}, facts: []string{"fast"}},
		"those of all, each once": {run: func(v *verdicts) {
			v.note("b", v.begin(), well(slow, fast))
			v.note("a", v.begin(), well(slow))
			v.note(watchers, v.begin(), well(fast))
		}, facts: []string{"fast", "slow"}},
		"what is no master any more is nothing": {run: func(v *verdicts) {
			v.note("a", v.begin(), bad)
			v.note("b", v.begin(), well(slow))
			v.keep([]string{"b"}, v.begin())
		}, facts: []string{"slow"}},
		"who finds no master forgets none":    {run: func(v *verdicts) { v.note("a", v.begin(), bad); v.keep(nil, v.begin()) }, refused: true},
		"nor one that a later look has found": {run: func(v *verdicts) { early := v.begin(); v.note("a", v.begin(), bad); v.keep([]string{"b"}, early) }, refused: true},
		"nor the sentinels":                   {run: func(v *verdicts) { v.note(watchers, v.begin(), well(slow)); v.keep([]string{"a"}, v.begin()) }, facts: []string{"slow"}},
	} {
		t.Run(name, func(t *testing.T) {
			var v verdicts
			c.run(&v)
			var facts []string
			for _, c := range v.concerns() {
				facts = append(facts, c.fact)
			}
			if refused := v.refused.Load() != nil; refused != c.refused || !slices.Equal(facts, c.facts) {
				t.Errorf("refused: %v, concerns: %v", refused, facts)
			}
		})
	}
}
