package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os/user"
	"runtime/debug"
	"strings"
	"time"

	"otpgate/directory"
	"otpgate/enroll"
	"otpgate/otp"
	"otpgate/otp/audit"
)

// Accounts finds who is meant; [*directory.Set] does.
type Accounts interface {
	Find(ctx context.Context, name string, allowed []string) (*directory.Account, error)
	FindMail(ctx context.Context, mail string) (*directory.Account, error)
	IDs(ctx context.Context, names []string) (ids []string, errs []error)
}

// Trail is the audit trail; [*audit.Log] is.
type Trail interface {
	Record(ctx context.Context, events ...audit.Event) error
	Read(ctx context.Context, f audit.Filter, follow bool, begun func(), each func(audit.Event) error) error
}

// MAC derives ids; the keyset does.
type MAC interface {
	MAC(purpose string, parts ...[]byte) [32]byte
}

// Options are what a [Server] is made of.
type Options struct {
	Path     string // of the socket
	Accounts Accounts
	Devices  *otp.Devices
	Keys     MAC
	// Bound says why nothing may be added to the store yet: it is not known whose it is. nil: it always may.
	Bound func() error
	// Invite makes an invitation; enroll.Server.Invite does. nil: there is no enrollment.
	Invite func(ctx context.Context, a *directory.Account) (enroll.Invitation, error)
	Trail  Trail
	Status func(ctx context.Context) Status
	// Sessions returns the open sessions of an account, by its id. nil: none are kept.
	Sessions func(ctx context.Context, account string) ([]Session, error)
	// Explain tells what would become of a login, and claims nothing. Nothing that it says, its
	// error included, may hold the request's code. nil: it is not available.
	Explain func(ctx context.Context, q ExplainRequest) (Explanation, error)
	Logger  *slog.Logger // nil: none
	Now     func() time.Time
}

// A Server answers operators' commands.
type Server struct {
	o        Options
	logger   *slog.Logger
	listener net.Listener
	http     *http.Server
	ctx      context.Context // ends what follows the audit trail
	cancel   context.CancelFunc
}

// New makes the socket. It returns [ErrRunning] when another node has it.
func New(o Options) (*Server, error) {
	if o.Accounts == nil || o.Devices == nil || o.Keys == nil || o.Trail == nil || o.Status == nil || o.Now == nil {
		return nil, errors.New("operator: Accounts, Devices, Keys, Trail, Status and Now must be given")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l, err := Listen(o.Path)
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, logger: o.Logger.With("component", "operator"), listener: l}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, actorKey{}, actor(c))
		},
	}
	return s, nil
}

// actorKey is where a request's context has who sent it.
type actorKey struct{}

// actor names who is on the other end: uid 0 (root).
func actor(c net.Conn) string {
	uid := peerUID(c)
	if uid == "" {
		return "operator"
	}
	if u, err := user.LookupId(uid); err == nil {
		return fmt.Sprintf("uid %s (%s)", uid, u.Username)
	}
	return "uid " + uid
}

// Serve answers until [Server.Shutdown], and returns nil then.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("operator: %w", err)
	}
	return nil
}

// lastWords is how long commands get to finish when the node stops.
const lastWords = time.Second

// Shutdown lets commands finish for a second, cuts off those that do not, and removes the socket.
func (s *Server) Shutdown(ctx context.Context) error {
	s.cancel()
	patience, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	err := s.http.Shutdown(patience)
	if errors.Is(err, context.DeadlineExceeded) { // somebody does not read, or does not send
		s.logger.Warn("commands were cut off, because the node stops")
		err = s.http.Close()
	}
	_ = s.listener.Close() // also when it was never served
	if err != nil {
		return fmt.Errorf("operator: shutdown: %w", err)
	}
	return nil
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", s.status)
	mux.HandleFunc("POST /invitations", s.invite)
	mux.HandleFunc("GET /accounts", s.showAccount)
	mux.HandleFunc("POST /explanations", s.explain)
	mux.HandleFunc("GET /devices", s.listDevices)
	mux.HandleFunc("POST /devices", s.addDevice)
	mux.HandleFunc("DELETE /devices", s.revokeDevice)
	mux.HandleFunc("POST /devices/import", s.importDevices)
	mux.HandleFunc("GET /audit", s.audit)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if err := s.panicked(recover()); err != nil {
				s.fail(w, err, "")
			}
		}()
		mux.ServeHTTP(w, r)
	})
}

// panicked puts a panic into the log, and returns what to tell about it. Its argument is what the
// deferred function itself got from recover.
func (s *Server) panicked(v any) error {
	if v == nil {
		return nil
	}
	// Not the value: it might hold a seed.
	s.logger.Error("panic", "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
	return &Error{"this command ran into a mistake in otpgate", "see the node's log, and report it"}
}

// find returns who is meant by a login name, or else by a mail address.
func (s *Server) find(ctx context.Context, name string) (*directory.Account, error) {
	a, err := s.o.Accounts.Find(ctx, name, nil)
	if err != nil {
		return s.byMail(ctx, name, err)
	}
	return a, nil
}

// byMail returns who has a mail address, where no account has it as its login name; err is what was said
// of that. Of a name that may be somebody's nobody else is meant, whose address it is.
func (s *Server) byMail(ctx context.Context, name string, err error) (*directory.Account, error) {
	nobody := errors.Is(err, directory.ErrNotFound) || errors.Is(err, directory.ErrNameInvalid)
	if !nobody || !strings.Contains(name, "@") {
		return nil, err
	}
	switch a, mailErr := s.o.Accounts.FindMail(ctx, name); {
	case mailErr == nil:
		return a, nil
	case errors.Is(mailErr, directory.ErrUnavailable): // nobody can tell that it is no address
		return nil, mailErr
	}
	return nil, err
}

// bound says why nothing may be added to the store yet. What is sealed for a store of another keyset opens nowhere.
func (s *Server) bound() error {
	if s.o.Bound == nil {
		return nil
	}
	return s.o.Bound()
}

// onRecord puts on record what an operator is about to do, and does it. Where the trail is required
// and cannot be written, nothing is done. What was not done after all, or perhaps not, is on record as well.
func (s *Server) onRecord(r *http.Request, e audit.Event, do func() error) error {
	if err := s.announce(r, e); err != nil {
		return notOnRecord(err)
	}
	err := do()
	if err != nil {
		_, said := asError(err, e.Name)
		e.Detail = "not done: " + said.Fact
		if errors.As(err, new(doubtful)) {
			e.Detail = "perhaps " + e.Detail
		}
		_ = s.record(r, e)
	}
	return err
}

func notOnRecord(err error) *Error {
	return &Error{"nothing was done, because it cannot be put on record: " + err.Error(), "see the node's log about the audit trail"}
}

// announce puts on record what an operator is about to do. After an error it must not be done; what
// gets on record too late is corrected there.
func (s *Server) announce(r *http.Request, events ...audit.Event) error {
	err := s.record(r, events...)
	if err != nil {
		for i := range events {
			events[i].Detail = "not done: it was not on record in time"
		}
		audit.Correct(err, events...)
	}
	return err
}

// recordTime is how long the trail may take.
const recordTime = 5 * time.Second

// record puts on record what an operator does or did, and says in each of events when and who.
func (s *Server) record(r *http.Request, events ...audit.Event) error {
	for i := range events {
		e := &events[i]
		e.Time, e.Kind, e.Actor = s.o.Now(), audit.Operator, actorOf(r)
		if e.Action != imported { // there may be a million, and the log has the beginning and the end
			s.logger.Info("operator action", "action", e.Action, "actor", e.Actor, "account", e.Account, "device", e.Device, "client", e.Client)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), recordTime) // who hangs up did it all the same
	defer cancel()
	err := s.o.Trail.Record(ctx, events...)
	if err != nil {
		s.logger.Error("operator action is not on record", "action", events[0].Action, "error", err)
	}
	return err
}

func actorOf(r *http.Request) string {
	who, _ := r.Context().Value(actorKey{}).(string)
	return who
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	s.answer(w, s.o.Status(r.Context()))
}

func (s *Server) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // who does not read it has gone
}

func (s *Server) fail(w http.ResponseWriter, err error, name string) {
	status, e := asError(err, name)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(e)
}

// maxBody is how many octets a request other than an import may have.
const maxBody = 64 << 10

// decode reads the body of a request by our own client. It reads all of it, or w lets the client read what is wrong with
// one that is longer: a connection that ends while somebody writes to it takes the answer along.
func decode(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		err = d.Decode(v)
	}
	if err != nil {
		return &Error{"the request is not one that this node knows", "use the otpgate command of the same version as the node"}
	}
	return nil
}
