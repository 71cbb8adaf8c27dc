package enroll

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"otpgate/enroll/web"
)

// maxContact is how many characters [Options.Contact] may have.
const maxContact = 200

// appSettings is what the app has to know of the server beside its texts.
type appSettings struct {
	Issuer     string        `json:"issuer"`
	Contact    string        `json:"contact"`     // "": none
	AppLock    string        `json:"app_lock"`    // off, offered or required
	Languages  []appLanguage `json:"languages"`   // that there are texts in
	DevicesURL string        `json:"devices_url"` // of the page where people see their devices
}

// appLanguage is one language, under the name that its readers have for it.
type appLanguage struct {
	Tag  string `json:"tag"` // BCP 47
	Name string `json:"name"`
}

// showAppSettings answers GET /app/settings.json. It says the same to everybody.
func (s *Server) showAppSettings(w http.ResponseWriter, r *http.Request, _ *call) *web.Problem {
	settings := appSettings{
		Issuer: s.o.Issuer, Contact: s.o.Contact, AppLock: s.o.AppLock.String(), Languages: []appLanguage{}, DevicesURL: s.o.PublicURL + "/devices",
	}
	for _, tag := range s.texts.Languages() {
		settings.Languages = append(settings.Languages, appLanguage{tag, endonym(tag)})
	}
	octets, err := json.Marshal(settings)
	if err != nil {
		s.logger.Error("settings not written", "error", err)
		return web.Internal
	}
	file(w, r, ".json", octets)
	return nil
}

// endonym is what a language is called in itself, by which whoever is in the wrong one finds it.
func endonym(tag string) string {
	switch tag {
	case "en":
		return "English"
	case "zh-Hant":
		return "繁體中文"
	case "pt":
		return "Português"
	}
	return tag
}

// checkContact refuses what the app would have to show as a link that leads elsewhere than it
// says, or as text that nobody can read.
func checkContact(contact string) error {
	if !utf8.ValidString(contact) || utf8.RuneCountInString(contact) > maxContact ||
		strings.ContainsFunc(contact, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errors.New("the contact is too long, or cannot be printed")
	}
	scheme, rest, isURL := strings.Cut(contact, ":")
	if isURL && !strings.HasPrefix(rest, " ") && !strings.Contains(scheme, " ") && !slices.Contains([]string{"mailto", "https", "tel"}, scheme) {
		return errors.New("the contact is a link of a kind that the app does not make")
	}
	return nil
}
