package operator_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"otpgate/enroll/operator"
	"otpgate/otp/audit"
)

// typed is a proof that must show up nowhere.
const typed = "hunter2.755224"

// explained is an Explain that knows one client, and what it was asked.
func explained(asked *[]operator.ExplainRequest) func(context.Context, operator.ExplainRequest) (operator.Explanation, error) {
	return func(_ context.Context, q operator.ExplainRequest) (operator.Explanation, error) {
		*asked = append(*asked, q)
		if q.Client != "vpn" {
			return operator.Explanation{}, &operator.Error{Fact: "there is no client " + q.Client, Hint: "see radius.clients"}
		}
		return operator.Explanation{
			Steps: []operator.Step{
				{Name: "client", Outcome: operator.StepOK, Detail: "vpn"}, {Name: "code", Outcome: operator.StepStop, Detail: "no device has it"},
			},
			Decision: "reject", Reason: "code_wrong",
			Reply: []operator.ReplyAttribute{{Name: "Reply-Message", Value: "<no>", Octets: "12053c6e6f3e"}},
		}, nil
	}
}

func TestALoginIsExplainedAndOnRecord(t *testing.T) {
	var asked []operator.ExplainRequest
	w, ctx := start(t, 0, func(o *operator.Options) { o.Explain = explained(&asked) }), context.Background()
	q := operator.ExplainRequest{Client: "vpn", Account: "alice", Code: typed, Station: "aa-bb"}
	x, err := w.client.Explain(ctx, q)
	if err != nil || len(asked) != 1 || asked[0] != q {
		t.Fatalf("%v, %+v", err, asked)
	}
	var again []operator.ExplainRequest
	if want, _ := explained(&again)(ctx, q); !reflect.DeepEqual(x, want) {
		t.Errorf("%+v, want %+v", x, want)
	}
	all := w.events()
	if len(all) != 1 {
		t.Fatalf("%+v", all)
	}
	e := all[0]
	if e.Kind != audit.Operator || e.Action != "explained" || e.Client != "vpn" || e.Account != alice || e.Name != "alice" || e.Source != "aa-bb" ||
		e.Detail != "with a code" || e.Decision != "" || e.Reason != "" || !strings.HasPrefix(e.Actor, "uid ") {
		t.Errorf("on record: %+v", e)
	}
}

// What was typed is neither on record nor in the log, whatever came of it.
func TestWhatIsTypedToBeExplainedIsKeptNowhere(t *testing.T) {
	var asked []operator.ExplainRequest
	w, ctx := start(t, 0, func(o *operator.Options) { o.Explain = explained(&asked) }), context.Background()
	for _, q := range []operator.ExplainRequest{
		{Client: "vpn", Account: "alice", Code: typed}, {Client: "vpn", Account: "nobody", Code: typed}, {Client: "vpn", Account: "twin", Code: typed},
		{Client: "other", Account: "alice", Code: typed}, {Account: "alice", Code: typed}, {Client: "vpn", Code: typed},
		{Client: "vpn", Account: "alice", Code: strings.Repeat(typed, 20)},
	} {
		_, _ = w.client.Explain(ctx, q)
		if said := fmt.Sprint(q) + fmt.Sprintf("%+v %#v", q, q); strings.Contains(said, typed) {
			t.Error(said)
		}
	}
	_ = w.raw("POST", "/explanations", `{"client":"vpn","account":"alice","code":"`+typed+`","unknown":1}`)
	_ = w.raw("POST", "/explanations", `{"client":"vpn","account":"alice","code":"`+typed+`"`)
	if on := fmt.Sprint(w.events()) + w.logged.String(); strings.Contains(on, typed) || !strings.Contains(on, "explained") {
		t.Errorf("on record: %s", on)
	}
}

func TestWhatCannotBeExplained(t *testing.T) {
	var asked []operator.ExplainRequest
	w, ctx := start(t, 0, func(o *operator.Options) { o.Explain = explained(&asked) }), context.Background()
	for fact, q := range map[string]operator.ExplainRequest{
		"no client was named": {Account: "alice"}, "no account was named": {Client: "vpn"},
		"a name is longer than the 253":    {Client: "vpn", Account: strings.Repeat("a", 254)},
		"the code is longer than the 128":  {Client: "vpn", Account: "alice", Code: strings.Repeat("1", 129)},
		"a name is longer than the 253 oc": {Client: "vpn", Account: "alice", Station: strings.Repeat("a", 254)},
	} {
		_, err := w.client.Explain(ctx, q)
		wants(t, fact, err, fact)
	}
	if len(asked) != 0 || len(w.events()) != 0 {
		t.Errorf("%+v, %+v", asked, w.events())
	}
	_, err := w.client.Explain(ctx, operator.ExplainRequest{Client: "other", Account: "nobody"})
	wants(t, "another client", err, "there is no client other")
	if all := w.events(); len(all) != 2 || all[0].Name != "nobody" || all[0].Account != "" || all[0].Detail != "" || !strings.HasPrefix(all[1].Detail, "not done: ") {
		t.Errorf("on record: %+v", all)
	}
	w = start(t, 0, nil)
	_, err = w.client.Explain(ctx, operator.ExplainRequest{Client: "vpn", Account: "alice"})
	wants(t, "nothing explains", err, "cannot explain")
}

func TestNothingIsExplainedOffTheRecord(t *testing.T) {
	var asked []operator.ExplainRequest
	w := start(t, 0, func(o *operator.Options) { o.Explain, o.Trail = explained(&asked), brokenTrail{} })
	_, err := w.client.Explain(context.Background(), operator.ExplainRequest{Client: "vpn", Account: "alice", Code: typed})
	wants(t, "no trail", err, "cannot be put on record")
	if len(asked) != 0 {
		t.Errorf("%+v", asked)
	}
}

func TestTheDirectoryIsGoneWhileALoginIsExplained(t *testing.T) {
	w := start(t, 0, func(o *operator.Options) {
		o.Accounts = brokenAccounts{}
		o.Explain = func(context.Context, operator.ExplainRequest) (operator.Explanation, error) {
			return operator.Explanation{Steps: []operator.Step{{Name: "account", Outcome: operator.StepUnknown}}, Decision: "drop", Reason: "directory_unavailable"}, nil
		}
	})
	x, err := w.client.Explain(context.Background(), operator.ExplainRequest{Client: "vpn", Account: "alice"})
	if err != nil || x.Decision != "drop" {
		t.Errorf("%+v, %v", x, err)
	}
}
