package reply

import "otpgate/radius/dictionary"

// Options are what [Compile] makes a [Reply] of.
type Options struct {
	Dictionary *dictionary.Dictionary // required
	Rules      []Rule
	Groups     Tell
	// Only are the numbers of the attributes that replies may carry, 26 for those of vendors; to set
	// another one is a problem. Empty: all.
	Only []int
	// OnlyBy is who set Only, for the problem, such as "profile krb5"; empty: the client itself.
	OnlyBy string
}

// A Rule sets attributes for the members of a group: a cn, or a DN. Group "": for everybody.
type Rule struct {
	Group      string
	Attributes []Setting
}

// A Setting is an attribute with its values, each as [dictionary.Attribute.Encode] takes it, or a
// template.
type Setting struct {
	Name   string
	Values []string
}

// Tell says which of its groups an account's reply tells, and how.
type Tell struct {
	// Names are the groups, by cn or DN; "*" is all of them. Empty: none is told.
	Names     []string
	Attribute string // of type string or octets
	Form      Form   // "": Each
}

// A Form is how groups are told.
type Form string

// The forms, as the configuration spells them.
const (
	Each      Form = "each"      // an attribute for each group
	Semicolon Form = "semicolon" // a;b
	OU        Form = "ou"        // OU=a;b
)

// Where a [Problem] is that is in no rule.
const (
	InGroups = -1 // in Options.Groups
	InOnly   = -2 // in Options.Only
)

// A Problem is one thing that is wrong with the options.
type Problem struct {
	Rule      int    // index, or [InGroups] or [InOnly]
	Attribute string // its name as written; "": the rule as a whole
	Value     int    // index, of Setting.Values or Options.Only; -1: the attribute as a whole
	Message   string
	Hint      string // what would be right; may be empty
}

// Bounds.
const (
	maxRules   = 256
	maxValues  = 1024 // of all rules
	maxResult  = 4096 // octets of a template, and of what comes out of it
	maxReply   = 3800 // octets of attributes, so that a packet of 4,096 has room for the server's own
	maxProblem = 100
)
