// A dedicated worker that does nothing but tick. Timers of a hidden page are slowed down to one a minute,
// those of a worker are not, so beats and time-outs go on while the tab is in the background.

setInterval(() => postMessage(0), 250);
