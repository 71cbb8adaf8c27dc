// Package app is the phone app: a page that enrolls a device and shows its codes, without a network
// once it has been opened.
//
//	e-mail ──► POST /v1/enrollments ──► enrollment code ──► POST /v1/devices ──► home: code and ring
//	                                                           │ ECDH, HKDF in WebCrypto   ▲ sign(step)
//	                                                           ▼                           │
//	                                     IndexedDB: a non-extractable HMAC key ────────────┤
//	                                       or z and info ──► the phone's lock opens ──► HMAC key
//
//	files/ ──► builder: names by content, hashes ──► /app/ ──► page ──► worker: one cache per version
//
// # Invariants
//
//  1. The key is made by deriveKey and cannot be exported: no variable of the script ever holds
//     it (see [otpgate/enroll/agreement] for the protocol). Tests in a browser try to have it.
//  2. No framework, nothing from elsewhere, no inline script or style: the server's
//     Content-Security-Policy allows none of them. Every script and style has its hash in the page,
//     modules that are imported too; the page and the worker are what everything hangs on.
//  3. Codes are computed by the server's time, measured by GET /v1/time with half the round trip
//     taken out, never by the phone's clock alone once the server has been heard, until that clock
//     is seen to jump.
//  4. Texts are set as text, never as HTML (require-trusted-types-for 'script' would refuse it).
//     There is one Trusted Types policy, and it knows one address: the worker's.
//  5. A page is of one version. The worker has all files of a version or none of them, each checked
//     by its hash when it is fetched; another version takes over when the app is opened, or when the
//     person says so, never under an open page.
//  6. The worker answers for the files of the app, its texts and settings, and for nothing else: no
//     call passes through it, and it knows nothing of keys. No update touches IndexedDB.
//  7. The first visit loads less than 60 KB, heads and handshake included; nothing that is shown
//     first waits for the network once the phone has an account.
//
// # The lock
//
// With app_lock, or because the person wants it, the app opens with the phone's own lock: a WebAuthn
// credential of the platform, user verification required. Where the browser has the extension prf
// (WebAuthn Level 3 section 10.1.4), the credential makes 32 octets of a salt that is kept with the
// account. They are the salt of HKDF, and the server was told them at enrollment, once. What the
// phone keeps is then z, a key that is good for HKDF only and cannot be exported, and info; the HMAC
// key is made when the lock is opened, and is in memory only.
//
// So it protects against who has a copy of the phone's files, or of what the browser keeps in them:
// without the authenticator there is no code. HMAC keyed with unknown octets hides the seed from
// who knows z. It does not protect against a script that runs in this page while the app is open, or
// when it is opened next (the octets pass through a variable), against who can open the phone's lock, or
// where the credential is synchronised to another device, against who can open that one.
//
// Without prf the lock is a door in front of the code, and the key lies ready behind it: it keeps
// out who finds the phone unlocked, and nobody who reads its files or runs a script in this page.
// The same is true of a lock that was put before an account after its enrollment. The server cannot tell a
// phone that has locked its app from one that says so: app_lock "required" is a rule for this app,
// not a proof. What the server takes instead of octets is the word webauthn.
//
// # When keys vanish
//
//   - Safari deletes what a site keeps after seven days of use of the browser without a visit, the
//     worker, IndexedDB and localStorage alike. An app on the home screen is exempt, and has a store
//     of its own that does not see Safari's: so people are told to install it before they enroll.
//   - Other browsers delete under pressure, unless storage is persistent: it is asked for as soon as
//     there is an account.
//   - A record whose key cannot be read, as after a restore onto another phone, is no account.
//   - vault.js keeps the names of accounts in localStorage. One whose key is gone is missed by its
//     name, and its person is led to enrollment instead of to a wrong code; where the names are
//     gone too, the app starts as it does at first: with enrollment.
//
// # Decisions
//
//   - A jump of the phone's clock is a difference between Date.now and performance.now. The latter
//     stands still while a phone sleeps, which looks the same: a jump forwards over a time in which
//     the page was hidden is believed to be sleep, unless it is about as far as the clock was
//     behind, as when its person has just put it right. What is believed wrongly is put right by
//     the next measurement, at once where there is a network. A phone that was set while the app was
//     closed is noticed if it was set back behind the time that the app has seen last.
//   - The hashes of imported modules need elements: a page tells the browser of every module with its
//     hash, what is imported first, and imports are taken from what it was told of. A browser with
//     Integrity-Policy confirms it in a test. The header itself is not sent: browsers differ in how
//     they treat imports, and one that is mistaken would show nothing.
//   - Modules may import each other. The version in a module's address is a hash over all that it
//     needs, so that a cycle has one; of two modules in a cycle the browser hears of one after the
//     other, within the same packet.
//   - Comments and indentation are left out of what is sent: a fifth of it, without a build step.
//   - The worker is not put in charge of the page that installed it, and the manifest's address has
//     no version: browsers know an installed app by it.
//   - PNGs are drawn from icon.svg by a browser (go test ./enroll/app -update), because phones take
//     no SVG; a test draws them anew and compares.
//   - A link in a mail brings its code behind the "#", which a reload would lose: an opening with one
//     does not change to a newer version.
//
// # The files
//
// Below the screens: clock.js the server's time, vault.js what is kept, key.js the protocol and the
// key, lock.js the phone's lock, install.js the home screen and newer versions, sw.js the worker,
// ring.js the picture. The screens: app.js starts, screens.js shows one at a time, and each other
// module is one of them or what several of them share.
package app
