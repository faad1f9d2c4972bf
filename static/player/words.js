// Every text that scripts of the player show, Chinese first, English second. Templates have their own catalogue.

const WORDS = {
  "time.minutes": ["{m} 分 {s} 秒", "{m} min {s} s"],
  "time.seconds": ["{s} 秒", "{s} s"],

  "state.learned": ["已学 {at} / {all}", "Learned {at} of {all}"],
  "state.counting": ["正在计时", "counting"],
  "state.connecting": ["正在连接…", "connecting…"],
  "state.lost": ["连接中断，正在重新连接…", "connection lost, reconnecting…"],
  "state.silent": ["连接中断，已自动暂停；恢复后自动继续", "connection lost, paused; goes on by itself"],
  "state.stopped": ["已停止计时", "not counting"],
  "state.displaced": ["已在另一页面播放，本页不计时", "playing on another page, not counting here"],
  "state.busy": ["另一页面正在播放，本页不计时", "another page is playing, not counting here"],
  "state.challenge": ["等待播放验证，暂停计时", "waiting for the check, not counting"],
  "state.missed": ["未完成播放验证，暂停计时", "the check was missed, not counting"],
  "state.credited": ["学时已入账，可以自由拖动", "hours credited, drag freely"],
  "state.watched": ["已看完，可以自由拖动", "watched to the end, drag freely"],
  "state.ending": ["正在核对最后几秒…", "checking the last seconds…"],
  "state.endingWait": ["还差 {n} 秒，正在核对…", "{n} s left, checking…"],
  "state.media": ["视频加载失败，不计时", "the video does not load, not counting"],
  "state.stalled": ["正在缓冲，缓冲时不计时", "buffering, not counting meanwhile"],
  "state.paused": ["已暂停，不计时", "paused, not counting"],
  "state.ready": ["点击播放后开始计时", "counting starts when you press play"],
  "state.rewatch": ["正在重看已学部分，不重复计时", "re-watching, already counted"],
  "state.confirming": ["等待服务器确认…", "waiting for confirmation…"],
  "state.trailing": ["正在计时，确认约慢 {n} 秒", "counting, confirmed about {n} s later"],

  "uncredited": ["有 {n} 秒未计入：{why}", "{n} s not counted: {why}"],
  "why.gap": ["连接中断太久", "the connection was lost for too long"],
  "why.challenge": ["播放验证未完成", "the check was not answered"],
  "why.ahead_of_frontier": ["播放位置超过了已学进度", "the position was beyond what was learned"],
  "why.other": ["服务器没有确认这段时间", "the server did not confirm this time"],
  "rewind.gap": ["连接中断较久，这一小段没有计入，已回到 {at} 继续学习。", "The connection was lost for a while. This part did not count, so we went back to {at}."],
  "rewind.other": ["已回到已学位置 {at} 继续学习。", "Back to where you learned, {at}."],

  "refused.seek": ["学时获得前不能快进，可以在已学部分（{at} 以前）任意拖动。", "No fast-forward before the hours are earned. You may drag anywhere before {at}."],
  "refused.rate": ["学时获得前只能按原速播放。", "Normal speed only until the hours are earned."],
  "refused.play.challenge": ["请先完成播放验证。", "Please answer the check first."],
  "refused.play.silent": ["连接恢复后会自动继续播放。", "Playing goes on by itself once the connection is back."],
  "refused.play.ending": ["正在核对最后几秒，请稍等。", "Checking the last seconds, one moment please."],
  "refused.play.other": ["现在不能播放，请看页面上的提示。", "Cannot play now, please see the notice on the page."],

  "control.play": ["播放", "Play"],
  "control.pause": ["暂停", "Pause"],
  "control.rate": ["播放速度", "Speed"],
  "timeline.value": ["{at}，共 {all}，已学到 {learned}", "{at} of {all}, learned up to {learned}"],
  "timeline.free": ["{at}，共 {all}", "{at} of {all}"],
  "timeline.locked": ["{at} 尚未学到", "{at} not learned yet"],

  "challenge.identity": ["身份验证", "Identity check"],
  "challenge.attendance": ["播放验证", "Attendance check"],
  "challenge.identity.lead": ["请用您本人的手机扫描二维码。首次验证需要填写姓名和身份证号，绑定这部手机。", "Scan the code with your own phone. The first time, enter your name and ID number to bind the phone."],
  "challenge.attendance.lead": ["请用已绑定的手机扫描二维码，并在手机上点“确认”。确认后本页自动继续播放。", "Scan the code with your bound phone and press Confirm there. This page then goes on by itself."],
  "challenge.tap.lead": ["请在这部手机上点下面的按钮确认。确认后自动继续播放。", "Press the button below on this phone. Playing then goes on by itself."],
  "challenge.qr": ["验证二维码，请用手机扫描", "Check code, please scan with your phone"],
  "challenge.qrFailed": ["二维码没有加载出来，正在重试…", "The code did not load, retrying…"],
  "challenge.link": ["无法扫码时，用手机打开：", "If you cannot scan, open on the phone:"],
  "challenge.tap": ["在本机确认", "Confirm on this device"],
  "challenge.tapOther": ["改用另一部手机扫码", "Scan with another phone instead"],
  "challenge.bind": ["打开绑定页面", "Open the binding page"],
  "challenge.sending": ["正在提交…", "Sending…"],
  "challenge.failed": ["没有成功，请检查网络后再试一次。", "That did not work. Check the network and try again."],
  "challenge.left": ["剩余时间", "Time left"],
  "challenge.leftSpoken": ["播放验证还剩 {time}。", "{time} left for the check."],
  "challenge.hint": ["等待期间不计时；已获得的进度不受影响。", "No time counts while waiting. What you have earned stays."],
  "challenge.missed": ["验证时间已过", "The check has expired"],
  "challenge.missed.lead": ["上一个验证码没有在规定时间内完成，之后的播放暂不计时。之前已学的进度都还在。", "The last code was not answered in time, so nothing counts for now. Everything earned before is kept."],
  "challenge.missed.next": ["准备好手机后，获取一个新的验证码即可继续。", "Have your phone ready, then get a new code to go on."],
  "challenge.renew": ["获取新的验证码", "Get a new code"],
  "challenge.renewing": ["正在获取…", "Getting it…"],
  "challenge.later": ["稍后再验证，返回课程", "Check later, back to the course"],
  "challenge.done": ["验证成功，继续播放。", "Checked. Playing goes on."],
  "challenge.done.press": ["验证成功。请按播放键继续学习。", "Checked. Press play to go on."],

  "busy.title": ["另一个页面正在播放", "Another page is playing"],
  "busy.body": ["同一时间只能在一个页面学习。您可以在此页继续，那个页面会随之停止，已学进度不会丢失。", "You can study on one page at a time. Continue here and the other page stops; nothing you learned is lost."],
  "busy.where": ["正在播放的设备：{device}", "Playing on: {device}"],
  "busy.since": ["已播放 {time}", "for {time}"],
  "busy.waiting": ["那个页面关闭后，这里会自动开始。", "As soon as that page is closed, this one starts by itself."],
  "busy.over.body": ["另一个页面还在播放，本页没有开始。需要时可以在此页继续。", "The other page is still playing, so this one did not start. You can still continue here."],
  "refused.title": ["本页面已被强制关闭", "This page was closed by force"],
  "refused.body": ["系统检测到您同时打开了多个播放页面。同一时间只能打开一个播放页面，请回到正在播放的页面继续学习。", "Several player pages are open at the same time. Only one may be open. Please go on studying on the page that is playing."],
  "displaced.title": ["已在另一页面播放", "Playing on another page"],
  "displaced.body": ["您在另一个页面或设备上打开了播放，本页已暂停。已学进度都已保存。", "You started playing on another page or device, so this page has paused. Everything learned is saved."],
  "second.here": ["在此页继续", "Continue here"],
  "second.close": ["关闭本页", "Close this page"],
  "second.home": ["返回课程", "Back to the course"],

  "stop.sign-in.title": ["请重新登录", "Please log in again"],
  "stop.sign-in.body": ["登录已失效或已在别处退出。已学进度都已保存，登录后接着学。", "You are logged out. Everything learned is saved; log in to go on."],
  "stop.sign-in.action": ["去登录", "Log in"],
  "stop.closed.title": ["这门课现在不能学习", "This course is not open now"],
  "stop.closed.body": ["课程已关闭或报名已变更。已获得的进度和学时不受影响，请联系培训机构。", "The course is closed or your enrolment has changed. What you earned is kept. Please ask your training institution."],
  "stop.denied.title": ["现在不能播放这个视频", "This video cannot be played now"],
  "stop.denied.body": ["请刷新页面再试；如仍不行，请联系培训机构。", "Reload the page and try again. If that does not help, ask your training institution."],
  "stop.protocol.title": ["页面需要刷新", "The page needs a reload"],
  "stop.protocol.body": ["页面和服务器的版本不一致。已学进度都已保存，刷新后继续。", "The page and the server do not match. Everything learned is saved; reload to go on."],
  "stop.learner_disabled": ["账户已停用，请联系培训机构。已获得的进度和学时不受影响。", "Your account is disabled. Please ask your training institution. What you earned is kept."],
  "stop.not_enrolled": ["还没有报名这门课程，请联系培训机构。", "You are not enrolled for this course. Please ask your training institution."],
  "stop.withdrawn": ["报名已取消，或者视频已下架。已获得的进度和学时不受影响。", "The enrolment was withdrawn, or the video was taken down. What you earned is kept."],
  "stop.course_closed": ["课程已关闭。已获得的进度和学时不受影响。", "The course is closed. What you earned is kept."],
  "stop.offline_missing": ["线下公共课程的学时登记之后，才能开始网络学习。请联系培训机构登记。", "Online study opens once your hours in class are recorded. Please ask your training institution."],
  "stop.reload": ["刷新页面", "Reload"],

  "lost.notice": ["网络连接中断。已确认的进度不会丢失；短暂中断的时间恢复后补计。", "The connection is lost. Confirmed progress is safe; a short break is counted once it is back."],
  "silent.notice": ["超过 15 秒没有收到服务器确认，已自动暂停，以免白看。正在重新连接，恢复后自动继续。", "Nothing was confirmed for 15 seconds, so the video has paused and you lose no time. It goes on by itself once the connection is back."],
  "back.notice": ["连接已恢复。", "The connection is back."],
  "media.failed": ["视频没有加载出来，正在重试…", "The video did not load, retrying…"],
  "media.gone": ["视频无法播放。请检查网络后刷新页面。", "The video cannot be played. Check the network and reload."],

  "chapter.credited": ["学时已入账", "Hours credited"],
  "chapter.watched": ["待练习", "Quiz to do"],
  "after.watched.title": ["视频已看完", "Video completed"],
  "after.watched.body": ["完成课后练习，全部答对后学时入账。", "Do the quiz. The hours are credited once every answer is right."],
  "after.settling.body": ["学时正在入账，请稍候。", "The hours are being credited."],
  "after.quiz": ["课后练习", "Go to the quiz"],
  "after.credited.title": ["学时已入账", "Hours credited"],
  "after.credited.body": ["本视频的 {hours} 学时已经记入您的学时记录。", "{hours} hours of this video are now in your record."],
  "after.next": ["下一个视频", "Next video"],
  "after.home": ["返回课程", "Back to the course"],
  "credited.toast": ["{hours} 学时已入账", "{hours} hours credited"],
  "watched.toast": ["视频已看完", "Video completed"],
};

/** @typedef {keyof typeof WORDS} WordKey */

const column = document.documentElement.lang.startsWith("en") ? 1 : 0;

/**
 * @param {WordKey} key
 * @param {Record<string, string | number>} [values] for the {names} in the text
 * @returns {string}
 */
export function t(key, values = {}) {
  return WORDS[key][column].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** Is there a text with this key? The server may name a reason that this page does not know yet. @param {string} key */
export function knows(key) {
  return Object.hasOwn(WORDS, key);
}
