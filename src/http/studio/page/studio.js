// The studio in a browser: it shows what the server says, and asks the server for every change.
'use strict';

const words = JSON.parse(document.getElementById('words').textContent);
const language = document.documentElement.lang;

/** Words of the list, with values in place of `{name}`. */
function say(name, values = {}) {
  return (words[name] ?? name).replace(/\{(\w+)\}/g, (_, key) => values[key] ?? '');
}

/** Words of a family, such as `kind_video`; the name itself if the list does not have it. */
function named(family, name) {
  return words[`${family}_${name}`] ?? String(name).replaceAll('_', ' ');
}

const $ = (id) => document.getElementById(id);

function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'class') made.className = value;
    else if (name === 'on') for (const [event, run] of Object.entries(value)) made.addEventListener(event, run);
    else if (name in made && typeof value !== 'string') made[name] = value;
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

/** Times in the words of the reader: "3 minutes ago". */
const relative = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
const absolute = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' });

function ago(ms) {
  const s = Math.round((ms - Date.now()) / 1000);
  if (s > -45) return say('just_now');
  if (s > -3600) return relative.format(Math.round(s / 60), 'minute');
  if (s > -86400) return relative.format(Math.round(s / 3600), 'hour');
  if (s > -604800) return relative.format(Math.round(s / 86400), 'day');
  return absolute.format(ms);
}

function tellTimes(root) {
  for (const time of root.querySelectorAll('time[datetime]')) {
    const ms = Date.parse(time.dateTime);
    time.textContent = ago(ms);
    time.title = absolute.format(ms);
  }
}

const clockTime = (s) => {
  const whole = Math.floor(Math.max(0, s) * 100 + 1e-6) / 100;
  const minutes = Math.floor(whole / 60);
  return `${minutes}:${(whole - minutes * 60).toFixed(2).padStart(5, '0')}`;
};
const shortNumber = (value, digits = 3) => Number(value.toFixed(digits));

/** Calls `changed` for every event, but only while the page is visible: browsers open few connections per site. */
function watch(address, changed) {
  let source = null;
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(address);
    source.onmessage = (event) => changed(JSON.parse(event.data));
  };
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) return open();
    source?.close();
    source = null;
  });
  addEventListener('pagehide', () => source?.close());
  open();
}

let statusTimer = 0;

/** Says something to everyone, for some seconds. */
function tell(text, isError = false) {
  const status = $('status');
  status.textContent = text;
  status.classList.toggle('error', isError);
  status.classList.add('shown');
  clearTimeout(statusTimer);
  statusTimer = setTimeout(() => status.classList.remove('shown'), isError ? 12000 : 6000);
}

/* ---- the list of drafts ---- */

function listPage() {
  tellTimes(document);
  setInterval(() => tellTimes(document), 30000);
  let isFirst = true;
  watch('/studio/events', async () => {
    if (isFirst) return void (isFirst = false);
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const [list, made] = [$('list'), page.getElementById('list')];
    const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
    list.replaceWith(made);
    tellTimes(made);
    if (focused) made.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  });
}

/* ---- the page of a draft ---- */

const root = `/studio/draft/${document.body.dataset.draft}`;
const mayChange = document.body.dataset.rights === 'all';

const state = {
  data: null,
  /** Seconds on the timeline. */
  time: 0,
  /** The id of the chosen clip. */
  chosen: null,
  tab: 'clip',
  problems: null,
};
const duration = () => state.data?.summary.duration ?? 0;
const frameLength = () => 1 / (state.data?.summary.fps || 30);
const clipOf = (id) => {
  for (const track of state.data?.tracks ?? []) {
    const clip = track.clips.find((clip) => clip.id === id);
    if (clip) return { clip, track };
  }
  return null;
};
const labelOf = (clip) => clip.words || clip.media || named('kind', clip.kind);

/** Sends a change. Failures of the change itself are an answer with `error`. */
async function send(part, body) {
  try {
    const answer = await fetch(`${root}/${part}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body ?? {}),
    });
    const reply = await answer.json();
    return answer.ok ? reply : { error: reply.error ?? answer.statusText, hint: reply.hint };
  } catch {
    return { error: say('unreachable') };
  }
}

const failure = (reply) => [reply.error, reply.hint].filter(Boolean).join(' — ');

let loading = null;

/** Reads the draft again. One read at a time; a change meanwhile is followed by another one. */
async function refresh(isOwn = false) {
  if (loading) {
    await loading;
    if (state.data && state.data.records === state.latest) return;
  }
  loading = read(isOwn);
  await loading;
  loading = null;
}

async function read(isOwn) {
  const answer = await fetch(`${root}/data`).catch(() => null);
  if (!answer) return tell(say('unreachable'), true);
  const data = await answer.json();
  if (!answer.ok) return tell(failure(data), true);
  const before = state.data;
  state.data = data;
  state.latest = data.records;
  if (before && before.records !== data.records) {
    state.problems = null;
    if (!isOwn) tellChange(data);
  }
  showHead();
  player.changed(before);
  timeline.changed();
  showPanels(before);
}

function tellChange(data) {
  const last = data.history.find((step) => !step.is_undone);
  if (last) tell(`${whoOf(last)}: ${last.changes.join('; ')}`);
  else tell(say('draft_changed'));
}

function whoOf(step) {
  if (!step.by) return say('someone');
  const via = named('via', step.by.via);
  return step.by.name ? `${step.by.name} (${via})` : via;
}

function showHead() {
  const { summary, name } = state.data;
  document.title = `${name} · ${say('studio')}`;
  $('name').textContent = name;
  $('stage').style.setProperty('--ratio', `${summary.width} / ${summary.height}`);
  const facts = [
    summary.app || null,
    `${summary.width} × ${summary.height}`,
    say('fps', { n: shortNumber(summary.fps, 2) }),
    clockTime(summary.duration),
  ];
  $('facts').textContent = facts.filter(Boolean).join(' · ');
  for (const link of document.querySelectorAll('[data-file]')) {
    const { file } = link.dataset;
    const isThere = {
      'preview.mp4': state.data.video.is_there,
      'frame.png': duration() > 0,
      'draft.zip': Boolean(state.data.saved_to),
      'subtitles.srt': mayChange,
      'subtitles.vtt': mayChange,
    }[file] ?? true;
    link.parentElement.hidden = !isThere;
  }
}

/* ---- player ---- */

const player = {
  /** The address of the frame that is shown, and whether one is on its way. */
  shown: '',
  isLoading: false,
  playWhenReady: false,

  start() {
    $('controls').hidden = false;
    $('scrub').addEventListener('input', () => seek(Number($('scrub').value)));
    $('play').addEventListener('click', () => this.toggle());
    $('sound').addEventListener('click', () => {
      const video = $('video');
      video.muted = !video.muted;
      $('sound').setAttribute('aria-pressed', String(video.muted));
    });
    const video = $('video');
    video.addEventListener('timeupdate', () => {
      if (!video.hidden && !video.paused) moveTo(video.currentTime);
    });
    for (const event of ['play', 'pause', 'ended']) video.addEventListener(event, () => this.showButton());
    const follow = () => {
      if (!video.paused && !video.hidden) moveTo(video.currentTime);
      requestAnimationFrame(follow);
    };
    video.addEventListener('play', follow, { once: true });
  },

  isCurrent() {
    const video = state.data?.video;
    return Boolean(video?.is_there && !video.is_old);
  },

  changed(before) {
    const isEmpty = duration() <= 0;
    $('scrub').max = String(Math.max(duration(), 0.01));
    $('scrub').step = String(frameLength());
    $('play').disabled = isEmpty || (!this.isCurrent() && !mayChange);
    if (state.time > duration()) state.time = duration();
    if (!before || before.records !== state.data.records) this.shown = '';
    this.videoChanged(before?.video);
    moveTo(state.time);
    this.showFrame();
  },

  videoChanged(before) {
    const { video } = state.data;
    const element = $('video');
    const address = video.is_there ? `${root}/video?v=${video.version}` : '';
    if (this.isCurrent()) {
      if (element.getAttribute('src') !== address) element.src = address;
    } else if (!element.hidden) {
      element.pause();
      element.hidden = true;
      this.shown = '';
      this.showFrame();
    }
    const note = $('video-note');
    note.hidden = false;
    if (video.making !== undefined) note.textContent = say('making_video', { n: Math.round(video.making * 100) });
    else if (video.failed) note.textContent = video.failed;
    else if (video.is_there && video.is_old) note.textContent = say('video_is_old');
    else note.hidden = true;
    if (this.playWhenReady && before?.making !== undefined && video.making === undefined) {
      this.playWhenReady = false;
      if (this.isCurrent()) this.play();
    }
    this.showButton();
  },

  async toggle() {
    const video = $('video');
    if (!video.paused && !video.hidden) return video.pause();
    if (this.isCurrent()) return this.play();
    this.playWhenReady = true;
    const reply = await send('video');
    if (reply.error) {
      this.playWhenReady = false;
      return tell(failure(reply), true);
    }
    const before = state.data.video;
    state.data.video = reply.video;
    this.videoChanged(before);
  },

  play() {
    const video = $('video');
    video.hidden = false;
    $('frame').hidden = true;
    $('stage-note').hidden = true;
    video.currentTime = state.time >= duration() - frameLength() ? 0 : state.time;
    // A browser may want another click before it plays sound.
    video.play().catch(() => this.showButton());
  },

  showButton() {
    const video = $('video');
    const isPlaying = !video.paused && !video.hidden;
    const button = $('play');
    button.classList.toggle('pause', isPlaying);
    button.classList.toggle('busy', state.data?.video.making !== undefined);
    button.setAttribute('aria-label', isPlaying ? say('pause') : this.isCurrent() ? say('play') : say('make_and_play'));
    button.title = button.getAttribute('aria-label');
  },

  /** Shows the frame of the present time; of the times while one is on its way, only the last. */
  showFrame() {
    const note = $('stage-note');
    if (duration() <= 0) {
      $('frame').hidden = true;
      note.hidden = false;
      note.textContent = say('nothing_to_show');
      return;
    }
    if (!$('video').hidden) return;
    const { summary, records } = state.data;
    const pixels = Math.min(960, Math.max(summary.width, summary.height));
    const at = shortNumber(Math.min(state.time, Math.max(0, duration() - frameLength() / 2)), 3);
    const address = `${root}/frame?at=${at}&pixels=${pixels}&v=${records}`;
    if (this.isLoading || address === this.shown) return;
    this.isLoading = true;
    const next = new Image();
    const done = (isShown) => {
      this.isLoading = false;
      this.shown = address;
      const frame = $('frame');
      note.hidden = isShown;
      if (isShown) {
        frame.src = next.src;
        frame.alt = say('frame_at', { time: clockTime(at) });
      } else note.textContent = say('no_frame');
      frame.hidden = !isShown || !$('video').hidden;
      this.showFrame();
    };
    next.onload = () => done(true);
    next.onerror = () => done(false);
    next.src = address;
  },
};

/** Shows a time everywhere, without a new frame. */
function moveTo(time) {
  state.time = Math.min(Math.max(0, time), duration());
  const scrub = $('scrub');
  scrub.value = String(state.time);
  scrub.setAttribute('aria-valuetext', clockTime(state.time));
  $('clock').textContent = `${clockTime(state.time)} / ${clockTime(duration())}`;
  timeline.movePlayhead();
  const link = document.querySelector('[data-file="frame.png"]');
  if (link) link.href = `${root}/download/frame.png?at=${shortNumber(state.time)}`;
}

function seek(time) {
  moveTo(time);
  const video = $('video');
  if (!video.hidden) video.currentTime = state.time;
  else player.showFrame();
}

/* ---- timeline ---- */

const ROW = 40;
const narrow = matchMedia('(max-width: 700px)');
/** The width of the names of tracks, as in the style sheet. */
const headWidth = () => (narrow.matches ? 84 : 132);
const RULER = 26;
/** Narrower clips that follow each other are drawn as one block. */
const NARROW = 4;
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600];

const timeline = {
  /** Pixels per second. */
  scale: 50,
  least: 1,
  most: 400,
  rows: [],
  isFitted: true,
  isDue: false,

  start() {
    const lanes = $('lanes');
    lanes.addEventListener('scroll', () => this.draw(), { passive: true });
    new ResizeObserver(() => this.resized()).observe(lanes);
    $('zoom').addEventListener('input', () => {
      const part = Number($('zoom').value) / 100;
      this.zoomTo(this.least * (this.most / this.least) ** part);
    });
    $('fit').addEventListener('click', () => {
      this.isFitted = true;
      this.resized();
    });
    lanes.addEventListener('wheel', (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.zoomTo(this.scale * Math.exp(-event.deltaY / 300));
    }, { passive: false });
    lanes.addEventListener('keydown', (event) => this.key(event));
    lanes.addEventListener('click', (event) => {
      const option = event.target.closest('[role=option]');
      if (option) choose(option.dataset.id, true);
    });
    const toTime = (event) => {
      const sheet = $('sheet').getBoundingClientRect();
      seek((event.clientX - sheet.left - headWidth()) / this.scale);
    };
    $('sheet').addEventListener('pointerdown', (event) => {
      if (!event.target.closest('.ruler')) return;
      event.preventDefault();
      toTime(event);
      const move = (event) => toTime(event);
      addEventListener('pointermove', move);
      addEventListener('pointerup', () => removeEventListener('pointermove', move), { once: true });
    });
  },

  /** The tracks from the top layer down, as the app shows them. */
  tracks() {
    return [...state.data.tracks].reverse();
  },

  changed() {
    const hasClips = state.data.tracks.some((track) => track.clips.length > 0);
    $('timeline').hidden = false;
    $('lanes').hidden = !hasClips;
    $('empty').hidden = hasClips;
    this.ruler ??= el('div', { class: 'ruler', 'aria-hidden': 'true' });
    this.playhead ??= el('div', { class: 'playhead', 'aria-hidden': 'true' });
    this.box ??= el('div', { role: 'listbox', 'aria-label': say('timeline'), 'aria-orientation': 'horizontal' });
    const focused = document.activeElement?.dataset?.id;
    this.rows = this.tracks().filter((track) => track.clips.length > 0).map((track) => {
      const flags = ['main', 'muted', 'hidden', 'locked'].filter((flag) => track[flag]);
      const title = track.name || named('kind', track.kind);
      const about = [named('kind', track.kind), ...flags.map((flag) => named('track', flag))].join(' · ');
      const lane = el('div', { class: 'lane' });
      const label = say('track_label', { name: title, about, n: track.clips.length });
      const head = el('div', { class: 'head', 'aria-hidden': 'true', title: `${title} · ${about}` }, el('b', {}, title), el('span', {}, about));
      const row = el('div', { class: `row kind-${track.kind}${track.hidden ? ' off' : ''}`, role: 'group', 'aria-label': label }, head, lane);
      // Clips of a track are in the order of their times; overlaps look back as far as the longest clip.
      const clips = [...track.clips].sort((a, b) => a.start - b.start);
      const longest = Math.max(...clips.map((clip) => clip.end - clip.start));
      return { track, clips, longest, lane, row, nodes: new Map() };
    });
    if (!clipOf(state.chosen)) state.chosen = null;
    this.box.replaceChildren(...this.rows.map((row) => row.row));
    $('sheet').replaceChildren(this.ruler, this.box, this.playhead);
    this.resized();
    if (focused) this.nodeOf(focused)?.focus();
  },

  resized() {
    const room = $('lanes').clientWidth - headWidth() - 24;
    if (room <= 0 || !state.data) return;
    this.least = Math.min(room / Math.max(duration(), 0.1), this.most);
    if (this.isFitted) this.scale = this.least;
    this.scale = Math.min(Math.max(this.scale, this.least), this.most);
    this.layout();
  },

  zoomTo(scale) {
    const lanes = $('lanes');
    this.isFitted = false;
    const keep = (this.playheadAt() - lanes.scrollLeft);
    this.scale = Math.min(Math.max(scale, this.least), this.most);
    this.layout();
    // The present time stays where it is on the screen, if it is there.
    const isSeen = keep > headWidth() && keep < lanes.clientWidth;
    if (isSeen) lanes.scrollLeft = this.playheadAt() - keep;
  },

  playheadAt() {
    return headWidth() + state.time * this.scale;
  },

  layout() {
    const part = Math.log(this.scale / this.least) / Math.log(this.most / this.least || 1);
    const zoom = $('zoom');
    zoom.value = String(Math.round((Number.isFinite(part) ? part : 0) * 100));
    zoom.setAttribute('aria-valuetext', say('pixels_per_second', { n: shortNumber(this.scale, 1) }));
    const sheet = $('sheet');
    sheet.style.width = `${headWidth() + duration() * this.scale + 24}px`;
    for (const row of this.rows) {
      for (const node of row.nodes.values()) node.remove();
      row.nodes.clear();
    }
    this.movePlayhead();
    this.draw();
  },

  movePlayhead() {
    if (this.playhead) this.playhead.style.transform = `translateX(${this.playheadAt()}px)`;
  },

  /** Draws what is visible, in the next frame. */
  draw() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.drawNow();
    });
  },

  drawNow() {
    const lanes = $('lanes');
    const margin = 300;
    const from = (lanes.scrollLeft - headWidth() - margin) / this.scale;
    const to = (lanes.scrollLeft + lanes.clientWidth + margin) / this.scale;
    this.drawRuler(Math.max(0, from), Math.min(to, duration()));
    const first = Math.floor((lanes.scrollTop - RULER - margin) / ROW);
    const last = Math.ceil((lanes.scrollTop + lanes.clientHeight + margin) / ROW);
    const tabStop = this.tabStop();
    this.rows.forEach((row, index) => {
      const isSeen = index >= first && index <= last;
      this.drawRow(row, isSeen ? from : Infinity, isSeen ? to : -Infinity, tabStop);
    });
  },

  drawRuler(from, to) {
    const step = STEPS.find((step) => step * this.scale >= 64) ?? 3600;
    const ticks = [el('b')];
    for (let at = Math.floor(from / step); at * step <= to; at += 1) {
      const time = at * step;
      const isAtEnd = (duration() - time) * this.scale < 24;
      const text = isAtEnd ? '' : step < 1 ? clockTime(time) : clockTime(time).slice(0, -3);
      const tick = el('span', {}, text);
      tick.style.transform = `translateX(${headWidth() + time * this.scale}px)`;
      ticks.push(tick);
    }
    this.ruler.replaceChildren(...ticks);
  },

  drawRow(row, from, to, tabStop) {
    const wanted = new Map();
    const { clips } = row;
    let low = 0;
    let high = clips.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (clips[middle].start < from - row.longest) low = middle + 1;
      else high = middle;
    }
    let block = null;
    for (let index = low; index < clips.length && clips[index].start <= to; index += 1) {
      const clip = clips[index];
      if (clip.end < from) continue;
      const width = (clip.end - clip.start) * this.scale;
      if (width >= NARROW || clip.id === tabStop) {
        wanted.set(clip.id, { clip, index });
        block = null;
      } else if (block && (clip.start - block.end) * this.scale < 2) {
        block.end = Math.max(block.end, clip.end);
      } else {
        block = { start: clip.start, end: clip.end };
        wanted.set(`block ${clip.id}`, { block });
      }
    }
    if (!wanted.has(tabStop)) {
      const index = clips.findIndex((clip) => clip.id === tabStop);
      if (index >= 0) wanted.set(tabStop, { clip: clips[index], index });
    }
    for (const [key, node] of row.nodes) {
      if (wanted.has(key)) continue;
      node.remove();
      row.nodes.delete(key);
    }
    for (const [key, { clip, index, block }] of wanted) {
      let node = row.nodes.get(key);
      if (!node) {
        node = block ? el('div', { class: 'block', 'aria-hidden': 'true' }) : this.option(row, clip, index);
        row.nodes.set(key, node);
        row.lane.append(node);
      }
      if (block) this.place(node, block.start, block.end);
      else {
        node.tabIndex = key === tabStop ? 0 : -1;
        node.setAttribute('aria-selected', String(key === state.chosen));
      }
    }
  },

  place(node, start, end) {
    node.style.transform = `translateX(${start * this.scale}px)`;
    node.style.width = `${Math.max(2, (end - start) * this.scale - 1)}px`;
  },

  option(row, clip, index) {
    const times = say('from_to', { from: clockTime(clip.start), to: clockTime(clip.end) });
    const points = Object.values(clip.keyframes ?? {}).flat();
    const parts = [labelOf(clip), named('kind', clip.kind), times];
    if (points.length) parts.push(say('keyframes_n', { n: points.length }));
    if (clip.transition) parts.push(say('transition_to', { name: clip.transition.name }));
    const node = el('div', {
      role: 'option',
      class: `clip kind-${clip.kind}`,
      'data-id': clip.id,
      'aria-label': parts.join(', '),
      'aria-setsize': String(row.clips.length),
      'aria-posinset': String(index + 1),
      title: `${labelOf(clip)}\n${times}`,
    }, el('span', { class: 'text' }, labelOf(clip)));
    const width = (clip.end - clip.start) * this.scale;
    if (points.length && width > 14) {
      const times = [...new Set(points.map(([time]) => time))].slice(0, 60);
      for (const time of times) {
        if (time < clip.start - 0.001 || time > clip.end + 0.001) continue;
        const mark = el('i', { class: 'key' });
        mark.style.left = `${Math.min(Math.max(6, (time - clip.start) * this.scale), width - 7)}px`;
        node.append(mark);
      }
    }
    if (clip.transition && width > 10) {
      const mark = el('i', { class: 'transition' });
      mark.style.width = `${Math.max(10, clip.transition.duration * this.scale)}px`;
      node.append(mark);
    }
    this.place(node, clip.start, clip.end);
    return node;
  },

  /** The clip that Tab reaches: the chosen one, or the first. */
  tabStop() {
    return state.chosen ?? this.rows[0]?.clips[0]?.id;
  },

  nodeOf(id) {
    for (const row of this.rows) if (row.nodes.has(id)) return row.nodes.get(id);
    return null;
  },

  key(event) {
    const option = event.target.closest?.('[role=option]');
    if (!option) return;
    const at = this.rows.findIndex((row) => row.clips.some((clip) => clip.id === option.dataset.id));
    if (at < 0) return;
    const { clips } = this.rows[at];
    const index = clips.findIndex((clip) => clip.id === option.dataset.id);
    const above = (step) => {
      const other = this.rows[at + step]?.clips;
      if (!other) return undefined;
      const middle = (clips[index].start + clips[index].end) / 2;
      const away = (clip) => Math.abs((clip.start + clip.end) / 2 - middle);
      return other.reduce((best, clip) => (away(clip) < away(best) ? clip : best));
    };
    const next = {
      ArrowLeft: () => clips[index - 1],
      ArrowRight: () => clips[index + 1],
      ArrowUp: () => above(-1),
      ArrowDown: () => above(1),
      Home: () => clips[0],
      End: () => clips.at(-1),
    }[event.key];
    if (next) {
      event.preventDefault();
      const clip = next();
      if (clip) choose(clip.id, true, true);
    } else if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      choose(option.dataset.id, true);
      showTab('clip');
      $('panel-clip').querySelector('input, textarea, button')?.focus();
    } else if (event.key === 'Delete' && mayChange) {
      event.preventDefault();
      removeClip(option.dataset.id);
    }
  },

  /** Scrolls so that a clip is seen. */
  reveal(clip) {
    const lanes = $('lanes');
    const left = headWidth() + clip.start * this.scale;
    const right = headWidth() + clip.end * this.scale;
    if (left < lanes.scrollLeft + headWidth()) lanes.scrollLeft = left - headWidth() - 8;
    else if (right > lanes.scrollLeft + lanes.clientWidth) {
      lanes.scrollLeft = Math.min(left - headWidth() - 8, right - lanes.clientWidth + 24);
    }
    const at = this.rows.findIndex((row) => row.clips.includes(clip));
    const top = RULER + at * ROW;
    if (top < lanes.scrollTop + RULER) lanes.scrollTop = top - RULER;
    else if (top + ROW > lanes.scrollTop + lanes.clientHeight) lanes.scrollTop = top + ROW - lanes.clientHeight + 4;
  },
};

/** Chooses a clip, and shows the time at which it is seen. */
function choose(id, doesSeek = false, doesFocus = false) {
  const found = clipOf(id);
  if (!found) return;
  state.chosen = id;
  const { clip } = found;
  timeline.reveal(clip);
  timeline.drawNow();
  if (doesFocus) timeline.nodeOf(id)?.focus({ preventScroll: true });
  if (doesSeek && (state.time < clip.start || state.time >= clip.end)) {
    seek(Math.min(clip.start + Math.min(0.5, (clip.end - clip.start) / 2), duration()));
  }
  clipPanel.show();
}

/* ---- details ---- */

function showPanels(before) {
  $('side').hidden = false;
  clipPanel.changed();
  showHistory();
  if (!before || before.records !== state.data.records) showProblems();
}

function showTab(name, doesFocus = false) {
  state.tab = name;
  for (const tab of document.querySelectorAll('[role=tab]')) {
    const isChosen = tab.id === `tab-${name}`;
    tab.setAttribute('aria-selected', String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    $(tab.getAttribute('aria-controls')).hidden = !isChosen;
    if (isChosen && doesFocus) tab.focus();
  }
}

function startTabs() {
  const tabs = [...document.querySelectorAll('[role=tab]')];
  tabs.forEach((tab, at) => {
    const name = tab.id.slice(4);
    tab.addEventListener('click', () => showTab(name));
    tab.addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      showTab(tabs[(at + step + tabs.length) % tabs.length].id.slice(4), true);
    });
  });
}

const PLACED = ['video', 'image', 'sticker', 'text', 'compound', 'text_template'];
const SOUNDS = ['video', 'audio', 'compound'];
const FILES = ['video', 'image', 'audio'];

/** The fields of a clip: how each is read from its row, and which operations write it. */
function fieldsOf(clip) {
  const look = clip.look ?? {};
  const fields = [];
  if (typeof clip.words === 'string') fields.push({ name: 'words', kind: 'text', value: clip.words });
  fields.push({ name: 'start', kind: 'seconds', value: shortNumber(clip.start) });
  fields.push({ name: 'length', kind: 'seconds', value: shortNumber(clip.end - clip.start) });
  if (SOUNDS.includes(clip.kind)) fields.push({ name: 'volume', kind: 'percent', value: Math.round((clip.volume ?? 1) * 100), most: 1000 });
  if (PLACED.includes(clip.kind)) {
    const part = (name, usual = 0) => (typeof look[name] === 'number' ? shortNumber(look[name]) : usual);
    fields.push({ name: 'position_x', kind: 'number', value: part('position_x'), step: 0.01 });
    fields.push({ name: 'position_y', kind: 'number', value: part('position_y'), step: 0.01 });
    if (look.scale_x === undefined || look.scale_x === look.scale_y) {
      fields.push({ name: 'scale', kind: 'percent', value: Math.round((look.scale ?? look.scale_x ?? 1) * 100), least: 1, most: 10000 });
    }
    fields.push({ name: 'rotation', kind: 'number', value: part('rotation'), step: 1 });
  }
  if (FILES.includes(clip.kind)) fields.push({ name: 'file', kind: 'file', value: '' });
  return fields;
}

function operationsOf(clip, values) {
  const operations = [];
  const set = { op: 'set', clip: clip.id };
  if ('words' in values) operations.push({ op: 'replace_text', clip: clip.id, text: values.words });
  if ('file' in values) operations.push({ op: 'replace_media', clip: clip.id, media: values.file });
  if ('length' in values) operations.push({ op: 'trim', clip: clip.id, duration: values.length });
  if ('start' in values) operations.push({ op: 'move', clip: clip.id, at: values.start });
  if ('volume' in values) set.volume = values.volume / 100;
  if ('scale' in values) set.scale = values.scale / 100;
  for (const name of ['position_x', 'position_y', 'rotation']) if (name in values) set[name] = values[name];
  if (Object.keys(set).length > 2) operations.push(set);
  return operations;
}

const clipPanel = {
  /** The clip as it was when the form was filled in. */
  clip: null,
  form: null,
  isSending: false,

  values() {
    const values = {};
    for (const field of this.fields ?? []) {
      const input = this.form?.elements.namedItem(field.name);
      if (!input) continue;
      const value = input.type === 'number' ? input.valueAsNumber : input.value;
      if (input.type === 'number' && Number.isNaN(value)) continue;
      if (value !== field.value) values[field.name] = value;
    }
    return values;
  },

  isDirty() {
    return Object.keys(this.values()).length > 0;
  },

  /** After the draft was read again: what the user has entered stays. */
  changed() {
    const found = clipOf(this.clip?.id);
    if (this.isSending || !this.clip) return this.clip ? undefined : this.show();
    if (found && JSON.stringify(found.clip) === JSON.stringify(this.clip)) return undefined;
    if (found && this.isDirty()) return this.conflict(found.clip);
    if (!found) state.chosen = state.chosen === this.clip.id ? null : state.chosen;
    return this.show(true);
  },

  /** Someone else changed the clip while the user was changing it. */
  conflict(now) {
    const kept = this.values();
    const last = state.data.history.find((step) => !step.is_undone);
    this.show(true);
    for (const [name, value] of Object.entries(kept)) {
      const input = this.form.elements.namedItem(name);
      if (input) input.value = value;
    }
    const box = el('div', { class: 'conflict', role: 'alert' },
      el('p', {}, say('conflict', { who: last ? whoOf(last) : say('someone') })),
      el('p', { class: 'quiet' }, last?.changes.join('; ') ?? ''),
      el('div', { class: 'buttons' },
        el('button', { type: 'button', on: { click: () => this.submit() } }, say('apply_mine')),
        el('button', { type: 'button', on: { click: () => this.show(true) } }, say('take_theirs'))));
    this.form.prepend(box);
    this.buttons();
    this.clip = now;
  },

  show(doesReplace = false) {
    const panel = $('panel-clip');
    const found = clipOf(state.chosen);
    if (!found) {
      this.clip = null;
      this.form = null;
      panel.replaceChildren(el('p', { class: 'empty' }, say('choose_clip')));
      return;
    }
    if (!doesReplace && this.clip?.id === found.clip.id && this.form?.isConnected) return;
    const focused = panel.contains(document.activeElement) ? document.activeElement.name : null;
    const { clip, track } = found;
    this.clip = clip;
    this.fields = fieldsOf(clip);
    const readOnly = !mayChange || state.data.summary.read_only || track.locked;
    this.form = el('form', { class: 'clip-form', novalidate: true });
    this.form.append(
      el('h3', { class: `kind-${clip.kind}` }, el('span', { class: 'chip' }, named('kind', clip.kind)), ' ', labelOf(clip)),
      el('p', { class: 'quiet' }, say('clip_on_track', { id: clip.id, track: track.name || track.id })));
    const grid = el('div', { class: 'fields' });
    for (const field of this.fields) grid.append(this.field(field, readOnly));
    const apply = el('button', { class: 'main', name: 'apply' }, say('apply'));
    const reset = el('button', { type: 'button', name: 'reset', on: { click: () => this.show(true) } }, say('reset'));
    const remove = el('button', { type: 'button', class: 'danger', on: { click: () => removeClip(clip.id) } }, say('remove'));
    if (readOnly) this.form.append(grid, el('p', { class: 'quiet' }, state.data.summary.read_only || say('read_only')));
    else this.form.append(grid, el('div', { class: 'buttons' }, apply, reset, remove));
    this.form.append(this.facts(clip));
    this.form.addEventListener('input', () => this.buttons());
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.submit();
    });
    panel.replaceChildren(this.form);
    this.buttons();
    if (focused) this.form.elements.namedItem(focused)?.focus();
  },

  field(field, readOnly) {
    const id = `field-${field.name}`;
    const label = el('label', { for: id }, named('field', field.name));
    if (field.kind === 'text') {
      const rows = Math.min(6, 1 + field.value.split('\n').length);
      const area = el('textarea', { id, name: field.name, rows: String(rows), readOnly });
      area.value = field.value;
      return el('div', { class: 'wide' }, label, area);
    }
    if (field.kind === 'file') {
      const input = el('input', { id, name: field.name, type: 'text', placeholder: this.clip.path || this.clip.media || '', autocomplete: 'off', spellcheck: 'false', readOnly });
      const pick = el('input', { type: 'file', class: 'unseen', id: `${id}-pick`, accept: `${this.clip.kind}/*`, on: { change: (event) => this.upload(event.target, input) } });
      const row = readOnly ? input : el('div', { class: 'pick' }, input, pick, el('label', { class: 'button', for: pick.id }, say('choose_file')));
      return el('div', { class: 'wide' }, label, row);
    }
    const least = { seconds: 0, percent: field.least ?? 0 }[field.kind];
    const unit = { seconds: 's', percent: '%' }[field.kind] ?? (field.name === 'rotation' ? '°' : '');
    const step = field.step ?? (field.kind === 'seconds' ? 0.1 : 5);
    const input = el('input', { id, name: field.name, type: 'number', step: String(step), readOnly });
    if (least !== undefined) input.min = String(least);
    if (field.most) input.max = String(field.most);
    input.value = String(field.value);
    return el('div', {}, label, el('span', { class: 'unit', 'data-unit': unit }, input));
  },

  async upload(pick, input) {
    const [file] = pick.files;
    if (!file) return;
    tell(say('uploading', { name: file.name }));
    const plain = file.name.replace(/[^\p{L}\p{N}._-]+/gu, '_').replace(/^[._]+/, '');
    const put = (name) => fetch(`/studio/files/${encodeURIComponent(name)}`, { method: 'PUT', body: file }).catch(() => null);
    let answer = await put(plain);
    // Another file has this name.
    if (answer?.status === 409) answer = await put(`${Date.now().toString(36)}-${plain}`);
    const reply = await answer?.json().catch(() => null);
    if (!answer?.ok || !reply) return tell(reply?.error ?? say('unreachable'), true);
    input.value = reply.name;
    tell(say('uploaded', { name: file.name }));
    this.buttons();
  },

  buttons() {
    const isDirty = this.isDirty();
    for (const name of ['apply', 'reset']) {
      const button = this.form?.elements.namedItem(name);
      if (button) button.disabled = !isDirty;
    }
  },

  /** What the page does not change. */
  facts(clip) {
    const rows = [];
    const add = (name, value) => {
      if (value !== undefined && value !== null && value !== '') rows.push(el('dt', {}, name), el('dd', {}, value));
    };
    add(say('speed'), clip.speed && clip.speed !== 1 ? `${shortNumber(clip.speed)} ×` : undefined);
    add(say('part_of_file'), clip.source ? `${clockTime(clip.source[0])} – ${clockTime(clip.source[1])}` : undefined);
    add(say('transition'), clip.transition ? `${clip.transition.name}, ${shortNumber(clip.transition.duration)} s` : undefined);
    add(say('effects'), clip.effects?.join(', '));
    for (const [property, points] of Object.entries(clip.keyframes ?? {})) {
      const shown = points.slice(0, 8).map(([time, value]) => `${clockTime(time)}: ${shortNumber(value)}`).join(', ');
      add(say('keyframes_of', { name: named('property', property) }), shown + (points.length > 8 ? ' …' : ''));
    }
    for (const [property, value] of Object.entries(clip.look ?? {})) {
      if (['position_x', 'position_y', 'scale', 'rotation'].includes(property)) continue;
      add(named('property', property), typeof value === 'string' ? value : JSON.stringify(value));
    }
    return rows.length ? el('dl', { class: 'facts' }, ...rows) : el('span');
  },

  async submit() {
    const operations = operationsOf(this.clip, this.values());
    if (!operations.length || this.isSending) return;
    this.isSending = true;
    const reply = await change(operations);
    this.isSending = false;
    if (!reply.error) return this.show(true);
    if (reply.stale) this.changed();
  },
};

/** Applies operations to the draft as this page shows it. */
async function change(operations) {
  const reply = await send('edit', { records: state.data.records, operations });
  if (!reply.error) tell([...reply.changes, ...(reply.notes ?? [])].join(' — '));
  else tell(reply.stale ? say('changed_elsewhere') : failure(reply), true);
  await settle(reply);
  return reply;
}

async function settle(reply) {
  // A draft of a server continues here under another id.
  if (reply.draft_id && reply.draft_id !== state.data.id) location.href = `/studio/draft/${reply.draft_id}`;
  else await refresh(!reply.stale);
}

async function removeClip(id) {
  const row = timeline.rows.find((row) => row.clips.some((clip) => clip.id === id));
  const at = row?.clips.findIndex((clip) => clip.id === id) ?? -1;
  const next = row?.clips[at + 1]?.id ?? row?.clips[at - 1]?.id;
  const hadFocus = timeline.nodeOf(id)?.contains(document.activeElement);
  const reply = await change([{ op: 'remove', clip: id }]);
  if (reply.error) return;
  if (next && clipOf(next)) choose(next, false, hadFocus);
  else clipPanel.show(true);
}

function showHistory() {
  const panel = $('panel-history');
  const { history, standing } = state.data;
  const focused = panel.contains(document.activeElement) ? document.activeElement.dataset.step : null;
  const latest = history.find((step) => !step.is_undone);
  const item = (step) => {
    const isNow = step === latest;
    const way = step.distance?.undo ? 'undo' : step.distance?.redo ? 'redo' : null;
    const label = way === 'undo' ? say('back_to_here') : say('bring_back');
    const action = mayChange && way
      ? el('button', { type: 'button', 'data-step': String(step.sequence), on: { click: () => undo(step.distance[way], way === 'redo') } },
        label, el('span', { class: 'unseen' }, `: ${step.changes.join('; ')}`))
      : isNow ? el('span', { class: 'chip' }, say('now')) : null;
    return el('li', { class: `${step.is_undone ? 'undone' : ''}${isNow ? ' now' : ''}` },
      el('div', {},
        el('b', {}, named('tool', step.tool)),
        step.checkpoint ? el('span', { class: 'chip' }, step.checkpoint) : null,
        step.is_undone ? el('span', { class: 'chip' }, say('undone')) : null,
        el('p', { lang: 'en' }, step.changes.join('; ')),
        el('p', { class: 'quiet' }, whoOf(step), ' · ', el('time', { datetime: new Date(step.at_ms).toISOString() }))),
      action);
  };
  const first = standing > 0 && mayChange
    ? el('button', { type: 'button', 'data-step': '0', on: { click: () => undo(standing, false) } }, say('undo_everything'))
    : null;
  const list = el('ol', { class: 'steps' }, ...history.map(item),
    el('li', {}, el('div', {}, el('b', {}, say('draft_was_made'))), first));
  panel.replaceChildren(list);
  tellTimes(panel);
  if (focused) (panel.querySelector(`[data-step="${focused}"]`) ?? panel).focus();
}

async function undo(steps, redo) {
  const reply = await send('undo', { records: state.data.records, steps, redo });
  if (!reply.error) tell(say(redo ? 'brought_back' : 'undid', { what: reply.steps.join('; ') }));
  else tell(reply.stale ? say('changed_elsewhere') : failure(reply), true);
  await settle(reply);
}

function showProblems(isLooking = false) {
  const panel = $('panel-problems');
  const button = el('button', { type: 'button', class: 'main', disabled: isLooking || !mayChange || duration() <= 0, on: { click: look } },
    isLooking ? say('looking') : say('look_for_problems'));
  const parts = [el('p', { class: 'quiet' }, say('problems_more')), button];
  const found = state.problems;
  if (found) {
    const findings = found.look?.findings ?? [];
    const notes = [...(found.notes ?? []), ...(found.look?.notes ?? [])];
    if (!findings.length && !found.problems.length) parts.push(el('p', { class: 'good' }, say('no_problems')));
    const items = findings.map((finding) => el('li', {},
      el('div', {},
        el('b', {}, named('finding', finding.code)),
        el('p', { lang: 'en' }, finding.what),
        el('p', { class: 'quiet' }, `${clockTime(finding.start)} – ${clockTime(finding.end)}`)),
      el('div', { class: 'buttons' },
        el('button', { type: 'button', on: { click: () => goTo(finding) } }, say('go_there'), el('span', { class: 'unseen' }, `: ${finding.what}`)),
        finding.operations?.length && mayChange
          ? el('button', { type: 'button', on: { click: () => change(finding.operations) } }, say('fix'), el('span', { class: 'unseen' }, `: ${finding.what}`))
          : null)));
    const files = found.problems.map((problem) => el('li', {}, el('div', {},
      el('b', {}, named('severity', problem.severity)),
      el('p', { lang: 'en' }, problem.what),
      el('p', { class: 'quiet', lang: 'en' }, problem.way_out))));
    if (items.length + files.length) parts.push(el('ul', { class: 'steps' }, ...items, ...files));
    if (notes.length) parts.push(el('ul', { class: 'notes', lang: 'en' }, ...notes.map((note) => el('li', {}, note))));
  }
  panel.replaceChildren(...parts);
}

function goTo(finding) {
  const clip = finding.clips?.find((id) => clipOf(id));
  if (clip) choose(clip);
  seek(Math.min(finding.start + 0.01, duration()));
}

async function look() {
  showProblems(true);
  const { records } = state.data;
  const reply = await send('check');
  if (reply.error) tell(failure(reply), true);
  // Findings about an earlier state would mislead.
  else if (records === state.data.records) state.problems = reply;
  showProblems();
  const count = (state.problems?.look?.findings.length ?? 0) + (state.problems?.problems.length ?? 0);
  if (state.problems) tell(count ? say('problems_found', { n: count }) : say('no_problems'));
}

async function save() {
  const button = $('save');
  button.disabled = true;
  tell(say('saving'));
  const reply = await send('save');
  button.disabled = false;
  if (reply.error) return tell(failure(reply), true);
  const where = reply.folder ?? reply.download_url ?? '';
  tell([say('saved', { where }), reply.next].filter(Boolean).join(' — '));
  await refresh(true);
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !state.data) return;
  if (event.target.closest('input:not([type=range]), textarea, select, button, summary, a')) return;
  const run = {
    k: () => player.toggle(),
    ',': () => seek(state.time - frameLength()),
    '.': () => seek(state.time + frameLength()),
    '+': () => timeline.zoomTo(timeline.scale * 1.4),
    '-': () => timeline.zoomTo(timeline.scale / 1.4),
  }[event.key];
  if (!run) return;
  event.preventDefault();
  run();
}

async function draftPage() {
  player.start();
  timeline.start();
  startTabs();
  if (mayChange) {
    $('save').hidden = false;
    $('save').addEventListener('click', save);
  }
  document.addEventListener('keydown', keys);
  document.addEventListener('click', (event) => {
    if (!event.target.closest('#downloads')) $('downloads').open = false;
  });
  await refresh();
  setInterval(() => tellTimes($('panel-history')), 30000);
  watch(`${root}/events`, (event) => {
    if (event.gone) return tell(say('draft_is_gone'), true);
    if (!state.data) return void refresh();
    if (event.id !== state.data.id) return void (location.href = `/studio/draft/${event.id}`);
    const before = state.data.video;
    state.data.video = event.video;
    player.videoChanged(before);
    state.latest = event.records;
    if (event.records !== state.data.records || event.modified_ms !== state.data.modified_ms) refresh();
    else showHead();
    return undefined;
  });
}

if (document.body.classList.contains('draft')) draftPage();
else listPage();
