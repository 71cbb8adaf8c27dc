// Runs in every page before its own scripts. It lets the test look, and hands the page a clock that the
// test can set: Date and performance.now tell its time. Until somebody touches it that is the real one.
// Timers run in real time all the while.
(clock) => {
  if (globalThis.__test) return;
  const RealDate = Date;
  const realDate = Date.now.bind(Date);
  const realNow = performance.now.bind(performance);
  // clock.ahead: of the phone's clock against the real one, in ms. clock.still: the moment at which time
  // stands still, or null. mark: of performance.now at that moment. passed: what was added to it.
  let mark = realNow();
  let passed = 0;
  const now = () => Math.floor((clock.still ?? realDate()) + clock.ahead);
  globalThis.Date = new Proxy(RealDate, {
    construct: (date, args, self) => Reflect.construct(date, args.length ? args : [now()], self),
    apply: () => new RealDate(now()).toString(),
    get: (date, name) => (name === "now" ? now : Reflect.get(date, name)),
  });
  performance.now = () => (clock.still === null ? realNow() : mark) + passed;

  let wanted = "";
  let pressed = false;
  addEventListener("click", (e) => { pressed ||= Boolean(wanted) && e.target.closest?.(wanted) != null; }, { capture: true });

  const seen = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && e.getClientRects().length > 0;
  const find = (selector) => [...document.querySelectorAll(selector)].find(seen);
  const text = (e) => (e.matches("input, textarea, select") ? e.value : e.innerText || e.textContent || "").trim();

  globalThis.__test = {
    realNow,

    // at stops time at a moment of the phone's clock. What lies between passes.
    at(ms) {
      if (clock.still === null) mark = realNow();
      passed += ms - now();
      clock.still = ms - clock.ahead;
      return clock;
    },
    // jump changes what the clock says, as a person does in the settings: no time passes.
    jump(ms) {
      clock.ahead += ms;
      return clock;
    },
    // go lets time pass by itself again.
    go() {
      if (clock.still === null) return clock;
      clock.ahead += clock.still - realDate();
      passed += mark - realNow();
      clock.still = null;
      return clock;
    },

    sees: (selector, part) => [...document.querySelectorAll(selector)].some((e) => seen(e) && text(e).includes(part)),
    text: (selector) => text(find(selector) ?? document.querySelector(selector)),

    // missed tells whether what was reached last was not pressed since.
    missed: () => !pressed,

    // reach scrolls an element to where a finger reaches it and returns its middle, or null while it cannot
    // be pressed.
    reach(selector) {
      const e = find(selector);
      if (!e || e.disabled) return null;
      e.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
      const r = e.getBoundingClientRect();
      const at = { x: r.x + r.width / 2, y: r.y + r.height / 2 };
      const top = document.elementFromPoint(at.x, at.y);
      wanted = selector;
      pressed = false;
      return top && (e.contains(top) || top.closest("label")?.control === e) ? at : null;
    },

    // choose picks an option of a select, and says so; of another field it marks what is there.
    choose(selector, value) {
      const e = find(selector);
      e.focus();
      if (!e.matches("select")) {
        e.select();
        return false;
      }
      const there = [...e.options].map((o) => o.value);
      if (!there.includes(value)) throw new Error(`no option ${value} but ${there}`);
      e.value = value;
      e.dispatchEvent(new Event("input", { bubbles: true }));
      e.dispatchEvent(new Event("change", { bubbles: true }));
      return true;
    },
  };
}
