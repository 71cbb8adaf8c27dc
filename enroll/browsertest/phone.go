package browsertest

import (
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// asPerson lets an expression do what a page may do only after somebody touched it.
func asPerson(p *runtime.EvaluateParams) {
	yes := true
	p.UserGesture = &yes
}

// Offline takes the network away from the page and from service workers, or gives it back.
func (b *Browser) Offline(off bool) error {
	ctx, cancel := b.bounded()
	defer cancel()
	b.mu.Lock()
	b.offline = b.offline || off // what was on its way may fail later
	b.mu.Unlock()
	rules := []*network.Conditions{}
	if off {
		rules = append(rules, &network.Conditions{Offline: true, DownloadThroughput: -1, UploadThroughput: -1})
	}
	if _, err := chromedp.Call(ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		EmulateOfflineServiceWorker: &off, MatchedNetworkConditions: rules,
	}); err != nil {
		return err
	}
	_, err := chromedp.Call(ctx, network.OverrideNetworkState, network.OverrideNetworkStateParams{
		Offline: off, DownloadThroughput: -1, UploadThroughput: -1,
	})
	return err
}

// Viewport sets the size of the screen in CSS pixels.
func (b *Browser) Viewport(width, height int) error {
	ctx, cancel := b.bounded()
	defer cancel()
	return chromedp.Do(ctx, chromedp.EmulateViewport(int64(width), int64(height),
		chromedp.EmulatePortrait, chromedp.EmulateScale(2), chromedp.EmulateMobile))
}

// Language sets what the page's requests ask for from now on, and navigator.language.
func (b *Browser) Language(tag string) error {
	ctx, cancel := b.bounded()
	defer cancel()
	_, err := chromedp.Call(ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
		UserAgent: b.agent, AcceptLanguage: tag,
	})
	return err
}

// Zone takes the phone to a time zone: "Asia/Kathmandu".
func (b *Browser) Zone(name string) error {
	ctx, cancel := b.bounded()
	defer cancel()
	_, err := chromedp.Call(ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: name})
	return err
}

// Media sets what the person prefers, by the names of CSS: "prefers-color-scheme": "dark". A second call
// replaces the first.
func (b *Browser) Media(features map[string]string) error {
	ctx, cancel := b.bounded()
	defer cancel()
	set := []*emulation.MediaFeature{}
	for name, value := range features {
		set = append(set, &emulation.MediaFeature{Name: name, Value: value})
	}
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: set})
	return err
}

// Slow makes the processor so many times slower than it is; 1: as it is.
func (b *Browser) Slow(times float64) error {
	ctx, cancel := b.bounded()
	defer cancel()
	_, err := chromedp.Call(ctx, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: times})
	return err
}

// An Authenticator is the phone's own lock (WebAuthn), as a fingerprint.
type Authenticator struct {
	b  *Browser
	id webauthn.AuthenticatorID
}

// AddAuthenticator gives the phone a lock, with the PRF extension or without. The person opens it at once.
func (b *Browser) AddAuthenticator(prf bool) (*Authenticator, error) {
	ctx, cancel := b.bounded()
	defer cancel()
	if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		return nil, err
	}
	added, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
		Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21,
			Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true,
			HasPrf: prf, AutomaticPresenceSimulation: true, IsUserVerified: true,
		},
	})
	return &Authenticator{b, added.AuthenticatorID}, err
}

// Refuse makes it somebody else's finger, or the person's again. Refused in use, a lock blocks itself, as
// real ones do after a few tries: then only another helps.
func (a *Authenticator) Refuse(refuse bool) error {
	ctx, cancel := a.b.bounded()
	defer cancel()
	_, err := chromedp.Call(ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: a.id, IsUserVerified: !refuse})
	return err
}

// TouchOnly has the lock answer, and say that it was a touch by anybody.
func (a *Authenticator) TouchOnly(touch bool) error {
	ctx, cancel := a.b.bounded()
	defer cancel()
	_, err := chromedp.Call(ctx, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: a.id, IsBadUV: &touch})
	return err
}

// Remove takes the lock away, with all that it has made.
func (a *Authenticator) Remove() error {
	ctx, cancel := a.b.bounded()
	defer cancel()
	_, err := chromedp.Call(ctx, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: a.id})
	return err
}
