package radius

import (
	"context"
	"slices"
	"testing"

	"otpgate/directory"
)

// atOnce is a directory that answers all of a call together.
type atOnce struct{ *fakeAccounts }

func (f atOnce) FindAll(ctx context.Context, questions []directory.Question, asker directory.Asker) {
	answers := make([]directory.Answer, len(questions))
	for i, q := range questions {
		answers[i].Of = q.Of
		answers[i].Account, answers[i].Err = f.Find(ctx, q.Name, q.Allowed)
	}
	go asker.Found(answers)
}

// TestWhatIsFoundTogetherIsClaimedTogether: each with its own answer, whether its devices are known or have to be loaded.
func TestWhatIsFoundTogetherIsClaimedTogether(t *testing.T) {
	for _, unknown := range []int{0, 4, 2} {
		w := newWorld(t)
		names := []string{"carol", "dora", "emil", "fritz"}
		var packets [][]byte
		for i, name := range names {
			w.accounts.remote[name] = account(name)
			w.codes.codes[name+"-id"] = []string{testCode}
			w.codes.unknown[name+"-id"] = i < unknown
			packets = append(packets, goodLogin(name, testCode))
		}
		w.accounts.findErr["twin"] = directory.ErrAmbiguous
		packets = append(packets, goodLogin("twin", testCode), goodLogin("emil", "999999"), goodLogin("zoe", testCode))
		w.Server.accounts = atOnce{w.accounts}
		w.feed(vpnAddr, packets...)
		want := []int{5}
		if unknown == 2 {
			want = []int{2, 3}
		}
		if got := slices.Sorted(slices.Values(w.codes.batches())); !slices.Equal(got, want) {
			t.Errorf("claims of %v, want %v", got, want)
		}
		outcomes := map[string]int{}
		for _, e := range w.trail.all() {
			outcomes[e.Decision+" "+string(e.Reason)]++
		}
		for what, n := range map[string]int{"accept ok": 4, "reject account_ambiguous": 1, "reject code_wrong": 1, "reject account_unknown": 1} {
			if outcomes[what] != n {
				t.Errorf("%d times %s, want %d: %v", outcomes[what], what, n, outcomes)
			}
		}
		if w.slots.Load() != 0 || w.waiting.Load() != 0 || w.prompt.Load() != 0 {
			t.Errorf("%d slots, %d wait, %d under way", w.slots.Load(), w.waiting.Load(), w.prompt.Load())
		}
	}
}

// TestAPanicInTheWalkOfOneFoundTogether drops that one.
func TestAPanicInTheWalkOfOneFoundTogether(t *testing.T) {
	w := newWorld(t)
	w.codes.walkPanic = "carol-id"
	w.accounts.remote["carol"], w.accounts.remote["dora"] = account("carol"), account("dora")
	w.codes.codes["dora-id"] = []string{testCode}
	w.Server.accounts = atOnce{w.accounts}
	if got := w.feed(vpnAddr, goodLogin("carol", testCode), goodLogin("dora", testCode)); len(got) != 1 {
		t.Errorf("%d replies, want that of dora", len(got))
	}
	if w.slots.Load() != 0 || w.waiting.Load() != 0 {
		t.Errorf("%d slots, %d wait", w.slots.Load(), w.waiting.Load())
	}
}
