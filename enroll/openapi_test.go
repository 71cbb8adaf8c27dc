package enroll_test

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"otpgate/enroll"
)

type ref struct {
	Ref string `yaml:"$ref"`
}

func (r ref) name() string { return r.Ref[strings.LastIndex(r.Ref, "/")+1:] }

type content map[string]struct {
	Schema ref `yaml:"schema"`
}

type operation struct {
	OperationID string `yaml:"operationId"`
	RequestBody *struct {
		Required bool    `yaml:"required"`
		Content  content `yaml:"content"`
	} `yaml:"requestBody"`
	Responses map[string]operationResponse `yaml:"responses"`
}

type operationResponse struct {
	Ref     string  `yaml:"$ref"`
	Content content `yaml:"content"`
}

type openAPI struct {
	Paths      map[string]map[string]operation `yaml:"paths"`
	Components struct {
		Schemas map[string]struct {
			AdditionalProperties *bool          `yaml:"additionalProperties"`
			Required             []string       `yaml:"required"`
			Properties           map[string]any `yaml:"properties"`
		} `yaml:"schemas"`
	} `yaml:"components"`
}

func loadOpenAPI(t *testing.T) openAPI {
	t.Helper()
	octets, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc openAPI
	if err := yaml.Unmarshal(octets, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestOpenAPIIsWhatTheServerDoes holds the description against the routes, in both directions.
func TestOpenAPIIsWhatTheServerDoes(t *testing.T) {
	doc, w := loadOpenAPI(t), start(t, nil)
	documented := 0
	for _, methods := range doc.Paths {
		documented += len(methods)
	}
	served := 0
	for _, r := range w.server.Routes() {
		if !strings.HasPrefix(r.Path, "/v1/") {
			continue
		}
		served++
		op, ok := doc.Paths[r.Path][strings.ToLower(r.Method)]
		if !ok || op.OperationID != r.Name {
			t.Errorf("%s %s is not described, or under another name", r.Method, r.Path)
			continue
		}
		if (op.RequestBody != nil) != (r.Required != nil) {
			t.Errorf("%s: body", r.Path)
			continue
		}
		if r.Required == nil {
			continue
		}
		schema := doc.Components.Schemas[op.RequestBody.Content["application/json"].Schema.name()]
		same(t, r.Path+" required", schema.Required, r.Required)
		same(t, r.Path+" members", keys(schema.Properties), append(slices.Clone(r.Required), r.Optional...))
		if schema.AdditionalProperties == nil || *schema.AdditionalProperties || !op.RequestBody.Required {
			t.Errorf("%s: the server is stricter than that", r.Path)
		}
	}
	if served != documented || served != 10 {
		t.Errorf("%d served, %d described", served, documented)
	}
	for name, fields := range enroll.AnswerFields() {
		schema := doc.Components.Schemas[name]
		var required, members []string
		for _, f := range fields {
			f, optional := strings.CutSuffix(f, "?")
			if members = append(members, f); !optional {
				required = append(required, f)
			}
		}
		same(t, name+" required", schema.Required, required)
		same(t, name+" members", keys(schema.Properties), members)
	}
}

// TestOpenAPIStatus makes each call fail and succeed, and looks up what it answers.
func TestOpenAPIStatus(t *testing.T) {
	doc, w := loadOpenAPI(t), start(t, nil)
	const kind = "application/json"
	code, _ := w.request("alice@corp.example")
	token, err := w.server.RevocationToken(alice, "alice", "aaaaaaaaaaaaaaaa")
	if err != nil {
		t.Fatal(err)
	}
	offer, link, session, err := w.server.Tokens(alice, "alice", "alice@corp.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, path, kind, body string }{
		{"GET", "/v1/time", "", ""}, {"POST", "/v1/time", kind, "{}"},
		{"POST", "/v1/enrollments", kind, `{"email":"bia@corp.example"}`}, {"POST", "/v1/enrollments", kind, `{}`},
		{"POST", "/v1/enrollments", "text/plain", `{}`}, {"GET", "/v1/enrollments", "", ""}, {"POST", "/v1/enrollments", kind, strings.Repeat(" ", 5000)},
		{"POST", "/v1/devices", kind, `{"email":"a@b.example","code":"0","label":"x"}`}, {"POST", "/v1/devices", kind, `{"email":"a@b.example","code":"0","label":"x","public_key":"x"}`},
		{"POST", "/v1/devices", kind, `{"email":"a@b.example","code":"0","label":"\u0007"}`}, {"PUT", "/v1/devices", kind, `{}`},
		{"POST", "/v1/devices", kind, `{"email":"alice@corp.example","code":"` + code + `","label":"x"}`},
		{"POST", "/v1/devices", kind, `{"email":"alice@corp.example","code":"` + code + `","label":"x","public_key":"` + publicKey(t) + `"}`},
		{"POST", "/v1/confirmations", kind, `{"token":"x","code":"0"}`}, {"POST", "/v1/confirmations", kind, `{"token":"` + offer + `","code":"0"}`},
		{"POST", "/v1/devices/remove", kind, `{"device":"x"}`}, {"POST", "/v1/devices/remove", kind, `{"device":"x","account":"x","at":"0","proof":"x"}`},
		{"POST", "/v1/devices/remove", kind, `{"device":"x","session":"x"}`}, {"POST", "/v1/devices/remove", kind, `{"device":"x","session":"` + session + `"}`},
		{"POST", "/v1/devices/rename", kind, `{"device":"x","label":"x"}`}, {"POST", "/v1/devices/rename", kind, `{"device":"x","label":"x","account":"x","at":"0","proof":"x"}`},
		{"POST", "/v1/devices/list", kind, `{"session":"x"}`}, {"POST", "/v1/devices/list", kind, `{"session":"` + session + `"}`},
		{"POST", "/v1/links", kind, `{"email":"x"}`}, {"POST", "/v1/links", kind, `{}`},
		{"POST", "/v1/sessions", kind, `{"token":"x"}`}, {"POST", "/v1/sessions", kind, `{"token":"` + link + `"}`},
		{"POST", "/v1/revocations", kind, `{"token":"x"}`}, {"DELETE", "/v1/revocations", "", ""}, {"POST", "/v1/revocations", kind, `{"token":"` + token + `"}`},
	} {
		doc.holds(t, c.path, w.do(c.method, c.path, c.body, "Content-Type", c.kind))
	}
	if w.count(alice) != 1 {
		t.Error("no device: the enrollment that should succeed did not")
	}
	// What the calls cannot help: too many, a mistake here, something that is not there.
	limited := start(t, func(_ *world, o *enroll.Options) { o.Limits.SourceBurst = 1 })
	limited.do("POST", "/v1/devices", "{}")
	broken := start(t, func(_ *world, o *enroll.Options) { o.Accounts = &brokenAccounts{panics: true} })
	gone := start(t, func(_ *world, o *enroll.Options) { o.Accounts = &brokenAccounts{} })
	for _, c := range []struct {
		w      *world
		status int
	}{{limited, 429}, {broken, 500}, {gone, 503}} {
		res := c.w.do("POST", "/v1/devices", `{"email":"a@b.example","code":"0","label":"x"}`, "Content-Type", kind)
		if res.StatusCode != c.status {
			t.Errorf("%d, want %d", res.StatusCode, c.status)
		}
		doc.holds(t, "/v1/devices", res)
		for path, methods := range doc.Paths {
			for method, op := range methods {
				if _, ok := op.Responses[strconv.Itoa(c.status)]; !ok && (path != "/v1/time" || c.status != 503) {
					t.Errorf("%s %s: %d is not described", method, path, c.status)
				}
			}
		}
	}
}

// TestOpenAPISuccess: what only succeeds once.
func TestOpenAPISuccess(t *testing.T) {
	doc, w := loadOpenAPI(t), start(t, nil)
	holds := func(path string, status int, members map[string]string) {
		t.Helper()
		body, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		res := w.do("POST", path, string(body), "Content-Type", "application/json")
		if res.StatusCode != status {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, status)
		}
		doc.holds(t, path, res)
	}
	code, _ := w.request("alice@corp.example")
	offer := w.begin("alice@corp.example", code)
	shown := codeFromURI(t, offer["otpauth"].(string), w.clock.now())
	holds("/v1/confirmations", http.StatusCreated, map[string]string{"token": offer["token"].(string), "code": shown})
	holds("/v1/sessions", http.StatusCreated, map[string]string{"token": w.link("alice@corp.example")})
	p, _ := w.register("wang@corp.example", "phone", nil)
	at := unixMS(w.clock.now())
	holds("/v1/devices/rename", http.StatusOK, map[string]string{"device": p.device, "account": p.account, "at": at, "label": "x", "proof": p.prove("rename", at, "x")})
	holds("/v1/devices/remove", http.StatusOK, w.removal(p))
}

// holds checks that an answer is one of those that are described for a path.
func (doc openAPI) holds(t *testing.T, path string, res *http.Response) {
	t.Helper()
	body, kind := read(t, res), res.Header.Get("Content-Type")
	var described operationResponse
	for _, op := range doc.Paths[path] {
		described = op.Responses[strconv.Itoa(res.StatusCode)]
	}
	if problem := res.StatusCode >= 400; problem != (described.Ref == "#/components/responses/Problem") || problem != (kind == "application/problem+json") {
		t.Errorf("%s: %d %s is not described", path, res.StatusCode, kind)
	}
	name := "Problem"
	if described.Ref == "" {
		name = described.Content[kind].Schema.name()
	}
	var answer map[string]any
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Errorf("%s: %d: %v", path, res.StatusCode, err)
	}
	schema := doc.Components.Schemas[name]
	for member := range answer {
		if _, ok := schema.Properties[member]; !ok {
			t.Errorf("%s: %d: %s has no %s", path, res.StatusCode, name, member)
		}
	}
	for _, member := range schema.Required {
		if _, ok := answer[member]; !ok {
			t.Errorf("%s: %d: no %s", path, res.StatusCode, member)
		}
	}
	if res.StatusCode >= 400 && answer["status"] != float64(res.StatusCode) {
		t.Errorf("%s: %d: %s", path, res.StatusCode, body)
	}
	if res.StatusCode == http.StatusMethodNotAllowed && res.Header.Get("Allow") == "" {
		t.Errorf("%s: no Allow", path)
	}
}

// TestOpenAPIIsServed as it is in the folder.
func TestOpenAPIIsServed(t *testing.T) {
	want, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	res := start(t, nil).do("GET", "/openapi.yaml", "")
	if got := read(t, res); got != string(want) || res.Header.Get("Content-Type") != "application/yaml" {
		t.Errorf("%d %s, %d octets", res.StatusCode, res.Header.Get("Content-Type"), len(got))
	}
}

func keys(m map[string]any) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	return all
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Clone(got), slices.Clone(want)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: described %v, served %v", what, got, want)
	}
}
