;; A filter that behaves as the second byte of the request's path says, so that a host can be tested on what the real
;; one never does:
;;   /f forward at once      /w post to the configured URL, wait, then forward /o the same with a URL of nobody
;;   /t trap                 /l loop for ever                                  /m take all memory
;;   /n never answer       /a forward at once, and post to the configured URL afterwards
;; Its configuration text is the URL, which is its metadata URL as well; a text that begins with `!` is a fault.
;; A forward after an exchange has as expires-at the status, or 1000 plus the number of the error.
(module
  (import "vestibule:filter/outbound-http@0.2.0" "[async-lower]send" (func $send (param i32 i32) (result i32)))
  (import "[export]vestibule:filter/request-filter@0.2.0" "[task-return]finish" (func $return (param i32)))
  (import "$root" "[waitable-set-new]" (func $set_new (result i32)))
  (import "$root" "[waitable-join]" (func $join (param i32 i32)))
  (import "$root" "[subtask-drop]" (func $subtask_drop (param i32)))
  (import "$root" "[context-get-0]" (func $context (result i32)))
  (import "$root" "[context-set-0]" (func $set_context (param i32)))

  (memory (export "memory") 1)
  (data (i32.const 16) "POST")
  (data (i32.const 32) "https://other.example/")
  (data (i32.const 64) "auth")
  (data (i32.const 80) "is wrong")
  (data (i32.const 96) "right it")
  (global $free (mut i32) (i32.const 1024))
  (global $url (mut i32) (i32.const 0))
  (global $url_length (mut i32) (i32.const 0))

  ;; Takes and never gives back. A moved block is not copied: no caller here needs it.
  (func $allocate (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (block $fits
      (loop $grow
        (br_if $fits (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $grow (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
        (unreachable)))
    (local.get $at))
  (func $new (param $size i32) (result i32)
    (call $allocate (i32.const 0) (i32.const 0) (i32.const 8) (local.get $size)))
  (func $store_list (param $at i32) (param $data i32) (param $length i32)
    (i32.store (local.get $at) (local.get $data))
    (i32.store offset=4 (local.get $at) (local.get $length)))

  ;; One reference: the environment variable of the text's name.
  (func (export "vestibule:filter/request-filter@0.2.0#references") (param $text i32) (param $length i32) (result i32)
    (local $result i32)
    (local.set $result (call $new (i32.const 24)))
    (call $store_list (local.get $result) (i32.add (local.get $result) (i32.const 8)) (i32.const 1))
    (i32.store8 offset=8 (local.get $result) (i32.const 0))
    (call $store_list (i32.add (local.get $result) (i32.const 12)) (local.get $text) (local.get $length))
    (local.get $result))

  (func (export "vestibule:filter/request-filter@0.2.0#load")
    (param $file i32) (param $file_length i32) (param $text i32) (param $length i32)
    (param $resolved i32) (param $resolved_length i32) (param $has_port i32) (param $port i32) (param $was_checked i32) (result i32)
    (local $result i32) (local $fault i32)
    (global.set $url (local.get $text))
    (global.set $url_length (local.get $length))
    ;; The result has less than 248 bytes; the only metadata URL lies behind it.
    (local.set $result (call $new (i32.const 256)))
    (memory.fill (local.get $result) (i32.const 0) (i32.const 256))
    (if (i32.and (i32.ne (local.get $length) (i32.const 0)) (i32.eq (i32.load8_u (local.get $text)) (i32.const 33)))
      (then
        ;; err([{ file, line: 3, key, problem, remedy, fatal }])
        (local.set $fault (call $new (i32.const 40)))
        (call $store_list (local.get $fault) (local.get $file) (local.get $file_length))
        (i32.store offset=8 (local.get $fault) (i32.const 3))
        (call $store_list (i32.add (local.get $fault) (i32.const 12)) (i32.const 64) (i32.const 4))
        (call $store_list (i32.add (local.get $fault) (i32.const 20)) (i32.const 80) (i32.const 8))
        (call $store_list (i32.add (local.get $fault) (i32.const 28)) (i32.const 96) (i32.const 8))
        (i32.store8 offset=36 (local.get $fault) (i32.const 1))
        (i32.store8 (local.get $result) (i32.const 1))
        (call $store_list (i32.add (local.get $result) (i32.const 4)) (local.get $fault) (i32.const 1)))
      (else
        ;; ok({ metadata-urls: [text], everything else empty })
        (call $store_list (i32.add (local.get $result) (i32.const 4)) (i32.add (local.get $result) (i32.const 248)) (i32.const 1))
        (call $store_list (i32.add (local.get $result) (i32.const 248)) (local.get $text) (local.get $length))))
    (local.get $result))

  ;; A decision of 200 bytes at `at`, which is zeroed: forward, with an expires-at.
  (func $forward_at (param $at i32) (param $expires_at i64)
    (i32.store8 offset=40 (local.get $at) (i32.const 1))
    (i64.store offset=48 (local.get $at) (local.get $expires_at)))
  (func $zeroed (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (call $new (local.get $size)))
    (memory.fill (local.get $at) (i32.const 0) (local.get $size))
    (local.get $at))
  (func $forward (param $expires_at i64)
    (local $decision i32)
    (local.set $decision (call $zeroed (i32.const 200)))
    (call $forward_at (local.get $decision) (local.get $expires_at))
    (call $return (local.get $decision)))

  (func $forward_answer (param $answer i32)
    (call $forward
      (if (result i64) (i32.load8_u (local.get $answer))
        (then (i64.add (i64.const 1000) (i64.load8_u offset=4 (local.get $answer))))
        (else (i64.load16_u offset=4 (local.get $answer))))))

  ;; Sends, and returns the callback's code: exit when there was an answer at once, else wait for one.
  (func $ask (param $url i32) (param $url_length i32) (result i32)
    (local $request i32) (local $answer i32) (local $status i32) (local $set i32)
    (local.set $request (call $new (i32.const 48)))
    (memory.fill (local.get $request) (i32.const 0) (i32.const 48))
    (call $store_list (local.get $request) (i32.const 16) (i32.const 4))
    (call $store_list (i32.add (local.get $request) (i32.const 8)) (local.get $url) (local.get $url_length))
    (i32.store offset=32 (local.get $request) (i32.const 65536))
    (i32.store offset=36 (local.get $request) (i32.const 60000))
    (local.set $answer (call $new (i32.const 24)))
    (local.set $status (call $send (local.get $request) (local.get $answer)))
    (if (i32.eq (i32.and (local.get $status) (i32.const 15)) (i32.const 2))
      (then
        (call $forward_answer (local.get $answer))
        (return (i32.const 0))))
    (call $set_context (local.get $answer))
    (local.set $set (call $set_new))
    (call $join (i32.shr_u (local.get $status) (i32.const 4)) (local.get $set))
    (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))

  ;; Progress has the decision at its byte 8. What is pending is known by the letter of the path.
  (func (export "vestibule:filter/request-filter@0.2.0#decide")
    (param $parts i32) (param $parts_length i32) (param $ends i32) (param $ends_length i32) (param $given i32)
    (param $has_body i32) (param $body i32) (param $body_length i32)
    (result i32)
    (local $what i32) (local $progress i32)
    (local.set $what (i32.load8_u offset=1 (i32.add (local.get $parts) (i32.load (local.get $ends)))))
    (local.set $progress (call $zeroed (i32.const 208)))
    (if (i32.eq (local.get $what) (i32.const 102)) ;; f
      (then
        (call $forward_at (i32.add (local.get $progress) (i32.const 8)) (i64.const 1))
        (return (local.get $progress))))
    (if (i32.eq (local.get $what) (i32.const 97)) ;; a
      (then
        (call $forward_at (i32.add (local.get $progress) (i32.const 8)) (i64.const 1))
        ;; Its number is that of /w.
        (i32.store8 offset=196 (local.get $progress) (i32.const 1))
        (i32.store offset=200 (local.get $progress) (i32.const 119))
        (return (local.get $progress))))
    (if (i32.or (i32.eq (local.get $what) (i32.const 119)) ;; w, o, n
          (i32.or (i32.eq (local.get $what) (i32.const 111)) (i32.eq (local.get $what) (i32.const 110))))
      (then
        (i32.store8 (local.get $progress) (i32.const 1))
        (i32.store offset=8 (local.get $progress) (local.get $what))
        (return (local.get $progress))))
    (if (i32.eq (local.get $what) (i32.const 108)) ;; l
      (then (loop $ever (br $ever))))
    (if (i32.eq (local.get $what) (i32.const 109)) ;; m
      (then (drop (call $new (i32.const 0x7f000000)))))
    (unreachable))

  (func (export "[async-lift]vestibule:filter/request-filter@0.2.0#finish") (param $what i32) (result i32)
    (if (i32.eq (local.get $what) (i32.const 119)) ;; w
      (then (return (call $ask (global.get $url) (global.get $url_length)))))
    (if (i32.eq (local.get $what) (i32.const 111)) ;; o
      (then (return (call $ask (i32.const 32) (i32.const 22)))))
    ;; n
    (i32.or (i32.const 2) (i32.shl (call $set_new) (i32.const 4))))

  (func (export "[callback][async-lift]vestibule:filter/request-filter@0.2.0#finish")
    (param $event i32) (param $subtask i32) (param $state i32) (result i32)
    (call $subtask_drop (local.get $subtask))
    (call $forward_answer (call $context))
    (i32.const 0)))
