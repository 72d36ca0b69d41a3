//! 日本語（です・ます）.

use super::texts::{Around, Notice, Texts, Told};
use crate::web::construct::Construct;

const AGAIN: &str = "もう一度ログインしてください。";
const LATER: &str = "しばらくしてからもう一度お試しください。解決しない場合は、アプリケーションの管理者にご連絡ください。";
const AGAIN_OR_TELL: &str =
    "もう一度お試しください。再び発生する場合は、お問い合わせ番号を添えてアプリケーションの管理者にご連絡ください。";
const OPERATOR: &str = "お問い合わせ番号を添えて、アプリケーションの管理者にご連絡ください。";
const BACK: &str = "アプリケーションにお戻りください。";
const NOT_LOGGED_IN: &str = "ログインできませんでした";
const FAILED: &str = "ログインに失敗しました";
const NOT_AVAILABLE: &str = "現在ログインできません";
const NOT_HERE: &str = "この操作はここではできません";

pub(super) const TEXTS: Texts = Texts {
    log_in: "ログイン",
    log_in_with: Around("", " でログイン"),
    log_in_for: Around("ログインして ", " を開く"),
    try_again: "もう一度試す",
    try_again_for: Around("もう一度試して ", " を開く"),
    use_another_account: "別のアカウントを使う",
    log_out: "ログアウト",
    log_out_here: "ここだけログアウトする",
    log_out_everywhere: "すべての場所でログアウトする",
    back_to_the_application: "アプリケーションに戻る",

    choose: "ログイン方法を選択してください。",
    on_the_way: "ログインページへ移動しています。",
    last_used: "前回使用",
    logged_out: Notice {
        title: "ログアウトしました", text: "このページを閉じるか、もう一度ログインしてください。"
    },
    address_too_long: Notice {
        title: "ログインしました",
        text: "元のアドレスが長すぎるため、ログイン中に保持できませんでした。もう一度そのアドレスを開いてください。",
    },
    everywhere: Notice {
        title: "すべての場所でログアウトしますか",
        text: "このアプリケーションでのあなたのアカウントのセッションが、すべてのブラウザーと端末で終了します。",
    },
    session_ended: "セッションが終了しました。再読み込みしてログインしてください。",
    reference_number: "お問い合わせ番号：",
    request_id: "リクエスト番号：",

    malformed: Told {
        title: "リクエストを読み取れません",
        happened: "リクエストのアドレスまたはヘッダーの形式が正しくありません。",
        advice: "アドレスをご確認いただくか、アプリケーションにお戻りください。",
    },
    malformed_by: Around("一通りに読み取れない箇所: ", ""),
    construct,
    method_not_allowed: Told {
        title: NOT_HERE, happened: "このページは表示できますが、データを送信することはできません。", advice: BACK
    },
    not_visited: Told {
        title: NOT_HERE,
        happened: "このアドレスはこのアプリケーションから開くためのもので、ほかのページから読み込むことはできません。",
        advice: BACK,
    },
    login_required: Told {
        title: "ログインしてください",
        happened: "ログインしていないか、ログインの有効期限が切れています。送信された内容は転送されませんでした。",
        advice: "ログインしてから、もう一度操作してください。",
    },
    not_a_page: Told {
        title: "ページがありません", happened: "このアドレスのページは存在しません。", advice: BACK
    },
    account_denied: Notice {
        title: "このアカウントにはアクセス権がありません",
        text: "別のアカウントを使うか、アプリケーションの管理者にアクセス権をご依頼ください。",
    },
    denied_as: Around("", " としてログインしていますが、このアカウントではこのページを表示できません。"),
    everybody_denied: Told {
        title: "アクセスできません", happened: "このページは誰も表示できません。", advice: BACK
    },
    unknown_provider: Told {
        title: "このログイン方法はありません",
        happened: "リンクが示すログイン方法は、このアプリケーションにはありません。",
        advice: AGAIN,
    },
    login_initiation: Told {
        title: "このログインを開始できません",
        happened: "移動元のサイトが、どのログインを使うかを正しい形式で示していません。",
        advice: AGAIN,
    },
    another_issuer: Told {
        title: "ログインを中止しました",
        happened: "案内先とは異なるプロバイダーから応答がありました。ログインは行われていません。",
        advice: "もう一度ログインしてください。再び発生する場合は、お問い合わせ番号を添えてアプリケーションの管理者にご連絡ください。",
    },
    not_an_answer: Told {
        title: FAILED,
        happened: "プロバイダーから返された内容がログインの応答ではないため、ログインできませんでした。",
        advice: AGAIN_OR_TELL,
    },
    unknown_state: Told {
        title: "ログインを完了できません",
        happened: "このブラウザーで開始されていないか、すでに使用されたか、時間がかかりすぎました。",
        advice: AGAIN,
    },
    attempt_used: Told {
        title: "このログインはすでに使用されました",
        happened: "同じログインが、このブラウザーまたはそのコピーから、すでに届いています。ログイン済みの可能性があります。",
        advice: AGAIN,
    },
    login_ended: Told {
        title: "このログインは終了されました",
        happened: "ログインの途中またはその直前に、このアカウントはすべての場所でログアウトされました。",
        advice: AGAIN,
    },
    cancelled: Told {
        title: NOT_LOGGED_IN,
        happened: "ログインがキャンセルされたか、プロバイダーがこのアプリケーションにアカウントへのアクセスを許可しませんでした。",
        advice: "もう一度試すか、別のアカウントを選択してください。",
    },
    consent_required: Told {
        title: NOT_LOGGED_IN,
        happened: "プロバイダーがお客様の情報をこのアプリケーションに伝えるための同意が得られませんでした。",
        advice: "もう一度ログインして同意するか、全員分の同意をアプリケーションの管理者にご依頼ください。",
    },
    provider_login_required: Told {
        title: NOT_LOGGED_IN,
        happened: "現在プロバイダーにログインしておらず、プロバイダーもログインを求めませんでした。",
        advice: AGAIN,
    },
    interaction_required: Told {
        title: NOT_LOGGED_IN,
        happened: "プロバイダーでのログインには、第二要素の確認やアカウントの選択など、追加の操作が必要です。",
        advice: "もう一度ログインし、プロバイダーの画面の案内に最後まで従ってください。",
    },
    provider_in_trouble: Told {
        title: NOT_AVAILABLE, happened: "ログインを確認するプロバイダーで問題が発生しています。", advice: LATER
    },
    provider_refused: Told {
        title: FAILED, happened: "プロバイダーでログインできませんでした。", advice: AGAIN_OR_TELL
    },
    provider_unreachable: Told {
        title: NOT_AVAILABLE, happened: "ログインを確認するプロバイダーに接続できません。", advice: LATER
    },
    answer_unacceptable: Told {
        title: FAILED,
        happened: "プロバイダーの応答を受け入れられないため、ログインできませんでした。",
        advice: AGAIN_OR_TELL,
    },
    session_too_large: Told {
        title: "ログイン情報が大きすぎます",
        happened: "プロバイダーから渡された情報が、ブラウザーに保存できる量を超えています（多くの場合、グループの一覧が長すぎます）。",
        advice: OPERATOR,
    },
    not_set_up: Told {
        title: "ログインが設定されていません",
        happened: "このアプリケーションのログインには、有効な設定がありません。",
        advice: OPERATOR,
    },
    not_remembered: Told {
        title: NOT_HERE,
        happened: "この環境では終了したセッションを記録していないため、このブラウザーのセッションだけを終了できます。",
        advice: "ここと、ほかの各ブラウザーでログアウトしてください。",
    },
    not_refreshable: Told {
        title: "セッションを更新できません",
        happened: "プロバイダーがこのセッションのリフレッシュトークンを発行していないか、受け付けなくなりました。",
        advice: "もう一度ログインしてください。",
    },
    refreshed_too_soon: Told {
        title: "セッションは最新です",
        happened: "プロバイダーが応答してから 1 分も経っていません。",
        advice: "1 分待ってから、もう一度お試しください。",
    },

    filter_failed: Notice {
        title: "問題が発生しました", text: "このリクエストを判定できなかったため、転送されませんでした。"
    },
    overloaded: Notice {
        title: "混み合っています",
        text: "現在、処理できる数を超えるリクエストがあります。少し待ってからもう一度お試しください。",
    },
    store_unreachable: Notice {
        title: "しばらくしてからお試しください",
        text: "現在、セッションがまだ有効かどうかを確認できません。1分ほど待ってからもう一度お試しください。",
    },
    upstream_unreachable: Notice {
        title: "アプリケーションを利用できません",
        text: "現在、接続できません。しばらくしてからもう一度お試しください。",
    },
    upstream_timed_out: Notice {
        title: "アプリケーションが応答しません",
        text: "時間がかかりすぎました。しばらくしてからもう一度お試しください。",
    },
    too_many_logins: Notice {
        title: "ログインの回数が多すぎます",
        text: "お使いのネットワークからのログインが、一分間に許可された回数を超えました。失われたものはありません。\
               少し待ってからもう一度お試しください。",
    },
    body_too_large: Notice {
        title: "送信された内容が大きすぎます", text: "送信された内容が、受け入れられる大きさを超えています。"
    },
    body_too_slow: Notice {
        title: "リクエストに時間がかかりすぎました", text: "送信された内容が、時間内に最後まで届きませんでした。"
    },
    too_many_requests: Notice {
        title: "リクエストが多すぎます",
        text: "お使いのネットワークから同時に送信されたリクエストが、許可された数を超えています。少し待ってからもう一度お試しください。",
    },
};

fn construct(construct: Construct) -> &'static str {
    match construct {
        Construct::EmptySegment => "アドレス内の空の区切り（//）",
        Construct::DotSegment => "アドレス内の . または .. 、またはそのように読み取れる区切り",
        Construct::BrokenEscape => "16 進数 2 桁を伴わない %",
        Construct::ControlCharacter => "エンコードされた制御文字（%00～%1F、%7F）",
        Construct::EscapedTwice => "二重にエンコードされた文字（%2561）",
        Construct::NotUtf8 => "UTF-8 ではないバイト列",
        Construct::EncodedSeparator => "エンコードされたスラッシュまたはバックスラッシュ（%2F、%5C）",
        Construct::Parameter => "アドレス内の ; または &",
        Construct::EncodedEnd => "エンコードされた ? または #（%3F、%23）",
        Construct::SegmentEnd => "アドレスの区切りの末尾にあるピリオド、コロン、空白、または先頭にある空白",
        Construct::Plus => "アドレス内の +",
        Construct::SessionSegment => "アドレス内のセッション（(S(x))）",
        Construct::LetterCase => "アドレスの大文字と小文字",
        Construct::Characters => "別の文字と見なされることがあるアドレス内の特殊文字",
        Construct::TooLong => "長すぎる、または読み取り方が多すぎるアドレス",
        Construct::MethodCase => "小文字のメソッド",
        Construct::MethodOverride => "別のメソッドを指定するヘッダー（X-HTTP-Method-Override など）",
        Construct::Host => "ホスト（Host ヘッダー）がない、重複している、または形式が正しくない",
        Construct::Target => "長すぎる、または #、\\、エンコードが必要な文字を含むアドレス",
    }
}
