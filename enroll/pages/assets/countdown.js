// How long the session lasts. It counts by the time of day, which goes on while the phone sleeps.

// A countdown calls tick with the seconds that remain, about once a second, and ended once.
export function countdown(seconds, tick, ended) {
  const end = Date.now() + seconds * 1000;
  let timer = 0;
  const look = () => {
    const remaining = Math.ceil((end - Date.now()) / 1000);
    if (remaining > 0) {
      tick(remaining);
      return;
    }
    stop();
    ended();
  };
  const stop = () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", look);
  };
  timer = setInterval(look, 1000);
  document.addEventListener("visibilitychange", look); // timers of a page in the background are late
  look();
  return stop;
}

// clock is minutes and seconds: 14:05.
export function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
