package operator

import (
	"net/http"
	"time"

	"otpgate/directory"
	"otpgate/otp/audit"
)

// AccountView is all that there is to know about an account.
type AccountView struct {
	ID        string `json:"id"`        // immutable
	Directory string `json:"directory"` // its configured name
	DN        string `json:"dn"`
	Name      string `json:"name"` // the login name
	FullName  string `json:"full_name,omitempty"`
	Mail      string `json:"mail,omitempty"`
	Disabled  bool   `json:"disabled"` // the directory says that nobody may log in with it
	// Groups are empty also where no client has a use for them: then the directory is not asked.
	Groups   []Group   `json:"groups"`
	Devices  []Device  `json:"devices"`
	Sessions []Session `json:"sessions"`
}

// Group is one that an account belongs to, directly or through other groups.
type Group struct {
	Name string `json:"name"`
	DN   string `json:"dn"`
}

// Session is one that is open, as its gateway's accounting tells it.
type Session struct {
	Client  string    `json:"client"`  // the configured name of the gateway
	NAS     string    `json:"nas"`     // what the gateway calls itself: NAS-Identifier, or its address
	ID      string    `json:"id"`      // Acct-Session-Id
	Station string    `json:"station"` // Calling-Station-Id
	Address string    `json:"address"` // Framed-IP-Address or Framed-IPv6-Address
	Since   time.Time `json:"since"`
	Updated time.Time `json:"updated"`    // when the gateway last told of it
	In      uint64    `json:"in_octets"`  // from the person
	Out     uint64    `json:"out_octets"` // to the person
	Stale   bool      `json:"stale"`      // the gateway has not told of it for too long: it may be over
}

func (s *Server) showAccount(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	a, err := s.find(r.Context(), name)
	if err != nil {
		s.fail(w, err, name)
		return
	}
	var v AccountView
	err = s.onRecord(r, audit.Event{Action: "account_shown", Account: a.ID, Name: a.Name}, func() (err error) {
		v, err = s.view(r, a)
		return err
	})
	if err != nil {
		s.fail(w, err, name)
		return
	}
	s.answer(w, v)
}

// view gathers what is known about an account. Lists are never nil, so that scripts find them.
func (s *Server) view(r *http.Request, a *directory.Account) (AccountView, error) {
	v := AccountView{
		ID: a.ID, Directory: a.Directory, DN: a.DN, Name: a.Name, FullName: a.FullName, Mail: a.Mail, Disabled: a.Disabled,
		Groups: make([]Group, len(a.Groups)), Sessions: []Session{},
	}
	for i, g := range a.Groups {
		v.Groups[i] = Group{Name: g.Name, DN: g.DN}
	}
	devices, err := s.o.Devices.List(r.Context(), a.ID)
	if err != nil {
		return v, err
	}
	v.Devices = make([]Device, len(devices))
	for i, d := range devices {
		v.Devices[i] = device(a, d)
	}
	if s.o.Sessions == nil {
		return v, nil
	}
	sessions, err := s.o.Sessions(r.Context(), a.ID)
	v.Sessions = append(v.Sessions, sessions...)
	return v, err
}
