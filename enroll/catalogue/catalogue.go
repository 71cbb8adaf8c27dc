package catalogue

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"

	"golang.org/x/text/language"
)

//go:embed texts/*.json
var files embed.FS

// languages are what there is; the first is for whoever reads none of them.
var languages = []string{"en", "zh-Hant", "pt"}

// longestWish is how many octets of an Accept-Language value are read. Browsers send less than 100.
const longestWish = 256

// A Catalogue is all texts in all languages. It is safe for concurrent use.
type Catalogue struct {
	matcher language.Matcher
	texts   []*Texts // as in languages
}

// Texts is one language.
type Texts struct {
	language string
	texts    map[string]string
	app      []byte
}

// Load reads the texts that are part of the program.
func Load() (*Catalogue, error) {
	c := &Catalogue{}
	var tags []language.Tag
	for _, name := range languages {
		octets, err := files.ReadFile("texts/" + name + ".json")
		if err != nil {
			return nil, fmt.Errorf("catalogue: %w", err)
		}
		t := &Texts{language: name}
		if err := json.Unmarshal(octets, &t.texts); err != nil {
			return nil, fmt.Errorf("catalogue: %s: %w", name, err)
		}
		app := map[string]string{}
		for key, text := range t.texts {
			if short, ok := strings.CutPrefix(key, "app."); ok {
				app[short] = text
			}
		}
		if t.app, err = json.Marshal(app); err != nil {
			return nil, fmt.Errorf("catalogue: %s: %w", name, err)
		}
		c.texts = append(c.texts, t)
		tags = append(tags, language.MustParse(name))
	}
	c.matcher = language.NewMatcher(tags)
	return c, nil
}

// Languages returns the languages there are, as BCP 47 tags.
func (c *Catalogue) Languages() []string { return append([]string(nil), languages...) }

// Pick returns the texts in the language that fits best: preferred (a person's, as the directory
// has it: a tag or an Accept-Language value, see RFC 2798 section 2.7) before accept (a browser's
// Accept-Language). Both may be empty or nonsense; of a long one the beginning counts, for anybody may
// ask, and thousands of languages take milliseconds.
func (c *Catalogue) Pick(preferred, accept string) *Texts {
	for _, wanted := range []string{preferred, accept} {
		if len(wanted) > longestWish {
			wanted = wanted[:max(strings.LastIndexByte(wanted[:longestWish], ','), 0)]
		}
		tags, _, err := language.ParseAcceptLanguage(wanted)
		if err != nil || len(tags) == 0 {
			continue
		}
		if _, i, confidence := c.matcher.Match(tags...); confidence > language.No {
			return c.texts[i]
		}
	}
	return c.texts[0]
}

// In returns the texts of one of [Catalogue.Languages].
func (c *Catalogue) In(name string) (*Texts, bool) {
	for _, t := range c.texts {
		if t.language == name {
			return t, true
		}
	}
	return nil, false
}

// Language is the BCP 47 tag of the texts.
func (t *Texts) Language() string { return t.language }

// App returns the texts of the app, as a JSON object without the "app." of the keys.
func (t *Texts) App() []byte { return t.app }

// Text returns a text, with {name}s replaced: names and values in turn. For a key that is not
// there, which a test rules out, it returns the key.
func (t *Texts) Text(key string, namesAndValues ...string) string {
	text, ok := t.texts[key]
	if !ok {
		return key
	}
	if len(namesAndValues) == 0 {
		return text
	}
	pairs := make([]string, len(namesAndValues))
	for i, s := range namesAndValues {
		if pairs[i] = s; i%2 == 0 {
			pairs[i] = "{" + s + "}"
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
